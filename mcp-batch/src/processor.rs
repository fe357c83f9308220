//! The handle: items in, results out.

use crate::{
    BatchRecord, Builder, Config, ConfigError, Error, Overflow, Stats, Ticket, inner::Inner,
};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    sync::TryAcquireError,
    time::{Instant, timeout_at},
};

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
    /// for each, in their order.
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
        if let Some(error) = self.try_room() {
            self.room_by_policy(error).await?;
        }
        self.0.enqueue(item)?.await
    }

    /// Like [`submit`](Self::submit), and gives up at `deadline`.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`], or as [`submit`](Self::submit).
    ///
    /// # Cancel safety
    /// As [`submit`](Self::submit); so is an item whose deadline passes.
    pub async fn submit_by(&self, item: T, deadline: Instant) -> Result<O, Error<E>> {
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
        match self.try_room() {
            None => {}
            Some(TryAcquireError::Closed) => return Err(Error::Closed),
            Some(TryAcquireError::NoPermits) => self.room_at_once()?,
        }
        self.0.enqueue(item)
    }

    /// Processes a list at hand: split evenly over the free slots or into
    /// batches of the size aimed at, in parallel under the limit. The results
    /// are in the order of the items. The list waits for room, whatever
    /// [`Config::overflow`] says, and takes turns with other callers.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the items that have not started.
    pub async fn process_batch(&self, items: Vec<T>) -> Vec<Result<O, Error<E>>> {
        let mut results = Vec::with_capacity(items.len());
        let mut tickets = VecDeque::with_capacity(items.len());
        let step = (self.0.config.queue_len_max / 4).clamp(1, 1 << 16);
        let mut items = items.into_iter();
        loop {
            let part: Vec<T> = items.by_ref().take(step).collect();
            if part.is_empty() {
                break;
            }
            let len = part.len();
            let room = u32::try_from(len).unwrap_or(u32::MAX);
            let queued = match self.0.room.acquire_many(room).await {
                Ok(permit) => {
                    permit.forget();
                    self.0.enqueue_all(part)
                }
                Err(_) => Err(Error::Closed),
            };
            match queued {
                Ok(more) => tickets.extend(more.into_iter().map(Ok)),
                Err(_) => tickets.extend((0..len).map(|_| Err(Error::Closed))),
            }
        }
        for ticket in tickets {
            results.push(match ticket {
                Ok(ticket) => ticket.await,
                Err(error) => Err(error),
            });
        }
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

    /// Whether [`shutdown`](Self::shutdown) was called, or the runtime ended.
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

    /// `None` if there was room, which is taken.
    fn try_room(&self) -> Option<TryAcquireError> {
        match self.0.room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                None
            }
            Err(error) => Some(error),
        }
    }

    async fn room_by_policy(&self, error: TryAcquireError) -> Result<(), Error<E>> {
        if error == TryAcquireError::Closed {
            return Err(Error::Closed);
        }
        if self.0.config.overflow != Overflow::Wait {
            return self.room_at_once();
        }
        let permit = self.0.room.acquire().await.map_err(|_| Error::Closed)?;
        permit.forget();
        Ok(())
    }

    /// Takes the place of the oldest item, or refuses. There may be no oldest
    /// one although there is no room: it is being started, or on its way in.
    fn room_at_once(&self) -> Result<(), Error<E>> {
        let shed = self.0.config.overflow == Overflow::ShedOldest && self.0.shed_oldest();
        if shed || self.try_room().is_none() {
            return Ok(());
        }
        Err(self.0.refuse())
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
