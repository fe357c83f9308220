//! The handle: items in, results out.

use crate::{
    BatchRecord, Builder, Config, ConfigError, Error, Stats, Ticket,
    builder::boxed,
    inner::{Inner, Measured},
    lanes::Lane,
    room::Room,
};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};
use tokio::time::{Instant, timeout_at};

/// Collects items into batches and gives each item its own result. Clones are
/// handles of the same processor.
///
/// No task lives while nothing is queued, except for the timer of the window,
/// which ends with it. When the last handle is dropped, items whose
/// [`Ticket`]s are still held are processed.
pub struct BatchProcessor<T, O, E>(pub(crate) Arc<Inner<T, O, E>>);

impl<T, O, E> BatchProcessor<T, O, E>
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    /// A processor that calls `function` with 1 to
    /// [`max_batch_size`](Config::max_batch_size) items; it returns one result
    /// for each, in their order. What it must not do, see [`Builder::build`].
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new<F>(
        config: &Config,
        function: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Result<Self, ConfigError>
    where
        F: Future<Output = Vec<Result<O, E>>> + Send + 'static,
    {
        Self::builder(config).build(function)
    }

    /// Begins a processor with lanes, weights, dedup or an observer.
    #[must_use]
    pub fn builder(config: &Config) -> Builder<T, O, E> {
        Builder::new(config.clone())
    }

    /// Submits one item and waits for its result. A full queue does what
    /// [`Config::overflow`] says.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once, or what came of the item.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the item: it is skipped if its batch has not
    /// started, and its result is dropped otherwise.
    pub async fn submit(&self, item: T) -> Result<O, Error<E>> {
        let item = self.0.measure(item);
        let room = self.0.room_by_policy().await?;
        self.0.enqueue(item, room)?.await
    }

    /// Like [`submit`](Self::submit), and gives up at `deadline`; at once, and
    /// without a place in the queue, if it has passed.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`], or as [`submit`](Self::submit).
    ///
    /// # Panics
    /// The caller's runtime has no timer, or there is none: the deadline is kept
    /// where the future runs, which need not be where the batches do.
    ///
    /// # Cancel safety
    /// As [`submit`](Self::submit); so is an item whose deadline passes.
    pub async fn submit_by(&self, item: T, deadline: Instant) -> Result<O, Error<E>> {
        if deadline <= Instant::now() {
            return Err(Error::DeadlineExceeded);
        }
        timeout_at(deadline, self.submit(item))
            .await
            .unwrap_or(Err(Error::DeadlineExceeded))
    }

    /// Queues one item at once, without waiting for room or for the result. May
    /// be called from any thread.
    ///
    /// # Errors
    /// [`Error::Overloaded`] or [`Error::Closed`]. A full queue sheds its oldest
    /// item if [`Config::overflow`] says so.
    pub fn try_submit(&self, item: T) -> Result<Ticket<O, E>, Error<E>> {
        let item = self.0.measure(item);
        let room = self.0.room_at_once()?;
        self.0.enqueue(item, room)
    }

    /// Processes a list at hand: split evenly over the free slots or into
    /// batches of the size aimed at, in parallel under the limit. The results
    /// are in the order of the items.
    ///
    /// The list waits for room, whatever [`Config::overflow`] says, and takes
    /// what there is, so that others get room between its items. With
    /// [`Overflow::ShedOldest`](crate::Overflow::ShedOldest) others may shed
    /// items of it.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the items that have not started.
    pub async fn process_batch(&self, items: Vec<T>) -> Vec<Result<O, Error<E>>> {
        let items = items.into_iter().map(|item| self.0.measure(item));
        self.process(items.collect()).await
    }

    /// Processes a list with a function of its own, in every other respect like
    /// [`process_batch`](Self::process_batch): the same slots, queue, sizes and
    /// statistics, the results in the order of the items.
    ///
    /// The list is a lane of its own, whatever
    /// [`Builder::lane_by`](crate::Builder::lane_by) says, so that no batch has
    /// items of two functions; it takes turns with the other lanes. The sizes
    /// follow the cost of all functions together: one whose batches cost
    /// something else altogether belongs to a processor of its own.
    ///
    /// # Cancel safety
    /// As [`process_batch`](Self::process_batch).
    ///
    /// ```
    /// # use mcp_batch::{BatchProcessor, Config};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let numbers = BatchProcessor::new(&Config::default(), |numbers: Vec<u64>| async move {
    ///     numbers.into_iter().map(Ok::<u64, String>).collect()
    /// })?;
    /// let factor = 3;
    /// let results = numbers
    ///     .process_with(vec![1, 2, 3], move |batch| async move {
    ///         batch.into_iter().map(|n| Ok(factor * n)).collect()
    ///     })
    ///     .await;
    /// assert_eq!(results, [Ok(3), Ok(6), Ok(9)]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn process_with<F>(
        &self,
        items: Vec<T>,
        function: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Vec<Result<O, Error<E>>>
    where
        F: Future<Output = Vec<Result<O, E>>> + Send + 'static,
    {
        let function = boxed(function);
        let lane = Lane::List(self.0.lists.fetch_add(1, Ordering::Relaxed));
        let measure = |item| self.0.measured(item, lane, Some(Arc::clone(&function)));
        self.process(items.into_iter().map(measure).collect()).await
    }

    async fn process(&self, items: Vec<Measured<T, O, E>>) -> Vec<Result<O, Error<E>>> {
        let len = items.len();
        let mut tickets = Vec::with_capacity(len);
        let mut results = Vec::with_capacity(len);
        let mut items = items.into_iter();
        while items.len() > 0 {
            // What nobody waits for makes room first, if there is none.
            drop(self.0.try_room());
            let Some(room) = Room::up_to(&self.0.room, items.len()).await else {
                break;
            };
            let part = items.by_ref().take(room.items());
            match self.0.enqueue_all(part, room) {
                Ok(more) => tickets.extend(more),
                Err(_) => break,
            }
        }
        for ticket in tickets {
            results.push(ticket.await);
        }
        results.resize_with(len, || Err(Error::Closed));
        results
    }

    /// Starts all that is queued as soon as slots are free, without waiting for
    /// company, and waits until it is answered.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: what was queued is still started.
    pub async fn flush(&self) {
        self.0.drain().await;
    }

    /// Takes nothing in from now on, and waits until all that was taken in is
    /// answered. Callers that wait for room get [`Error::Closed`]. May be called
    /// again.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the processor closed; what was queued is
    /// still processed.
    pub async fn shutdown(&self) {
        self.0.room.close();
        self.0.core.close();
        self.0.drain().await;
    }

    /// Whether [`shutdown`](Self::shutdown) was called, or the runtime was seen
    /// to end: with a batch at work or items in the queue, or by the first item
    /// after it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.core.is_closed()
    }

    /// The last batches, oldest first.
    #[must_use]
    pub fn performance_history(&self) -> Vec<BatchRecord> {
        self.0.core.history()
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.core.stats(self.0.overloaded.load(Ordering::Relaxed))
    }
}

impl<T, O, E> Clone for BatchProcessor<T, O, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, O, E> fmt::Debug for BatchProcessor<T, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessor")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
