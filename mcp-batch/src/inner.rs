//! What all handles and runners of one processor share.

use crate::{
    BatchRecord, Config, DropReason, Error, Observer,
    core::{Arrival, Core, Todo, Watch},
    dedup::Dedup,
    runner,
    slot::slot,
    ticket::{Answer, Ticket},
};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    time::Instant,
};

/// The batch function's future.
pub(crate) type Results<O, E> = Pin<Box<dyn Future<Output = Vec<Result<O, E>>> + Send>>;
/// The batch function.
pub(crate) type Function<T, O, E> = Box<dyn Fn(Vec<T>) -> Results<O, E> + Send + Sync>;
/// A number for an item.
pub(crate) type Measure<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;

pub(crate) struct Inner<T, O, E> {
    pub(crate) config: Config,
    pub(crate) core: Core<T, Answer<O, E>>,
    pub(crate) function: Function<T, O, E>,
    pub(crate) lane_of: Option<Measure<T>>,
    pub(crate) bytes_of: Option<Measure<T>>,
    pub(crate) dedup: Option<Dedup<T, O, E>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Room in the queue: one permit for each item that it can still hold.
    pub(crate) room: Arc<Semaphore>,
    /// Told when a flush may be over.
    pub(crate) settled: Notify,
    pub(crate) overloaded: AtomicU64,
    pub(crate) origin: Instant,
    pub(crate) runtime: Handle,
}

impl<T, O, E> Inner<T, O, E>
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    pub(crate) fn now_ns(&self) -> u64 {
        let elapsed = self.origin.elapsed();
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }

    /// Queues an item whose room is taken already.
    pub(crate) fn enqueue(self: &Arc<Self>, value: T) -> Result<Ticket<O, E>, Error<E>> {
        let (arrival, ticket) = self.arrival(value);
        self.push([arrival])?;
        Ok(ticket)
    }

    /// Queues items whose room is taken already, in one step.
    pub(crate) fn enqueue_all(
        self: &Arc<Self>,
        values: Vec<T>,
    ) -> Result<Vec<Ticket<O, E>>, Error<E>> {
        let (arrivals, tickets): (Vec<_>, Vec<_>) =
            values.into_iter().map(|value| self.arrival(value)).unzip();
        self.push(arrivals)?;
        Ok(tickets)
    }

    fn push<A>(self: &Arc<Self>, arrivals: A) -> Result<(), Error<E>>
    where
        A: IntoIterator<Item = Arrival<T, Answer<O, E>>>,
    {
        let todo = self
            .core
            .push(arrivals, self.now_ns())
            .map_err(|_| Error::Closed)?;
        self.act(todo);
        Ok(())
    }

    fn arrival(&self, value: T) -> (Arrival<T, Answer<O, E>>, Ticket<O, E>) {
        let (reply, slot) = slot();
        let measure =
            |measure: &Option<Measure<T>>| measure.as_ref().map_or(0, |measure| measure(&value));
        let (lane, bytes) = (measure(&self.lane_of), measure(&self.bytes_of));
        let arrival = Arrival {
            value,
            reply,
            lane,
            bytes,
        };
        (arrival, Ticket(slot))
    }

    /// Does what a step asked for.
    pub(crate) fn act(self: &Arc<Self>, todo: Todo) {
        for _ in 0..todo.starts {
            runner::start(self);
        }
        if let Some(at_ns) = todo.watch_at_ns {
            self.runtime.spawn(watch(Arc::clone(self), at_ns));
        }
        if todo.settled {
            self.settled.notify_waiters();
        }
    }

    /// Makes room by shedding the oldest item; its room is the caller's.
    pub(crate) fn shed_oldest(self: &Arc<Self>) -> bool {
        let Some((item, todo)) = self.core.shed_oldest() else {
            return false;
        };
        let waited_ns = self.now_ns().saturating_sub(item.arrived_ns);
        let waited = Duration::from_nanos(waited_ns);
        let (_, reply, _) = item.into_parts();
        reply.send(Err(Error::Shed { waited }));
        self.report_dropped(DropReason::Shed);
        self.act(todo);
        true
    }

    pub(crate) fn refuse(&self) -> Error<E> {
        self.overloaded.fetch_add(1, Ordering::Relaxed);
        self.report_dropped(DropReason::Overloaded);
        Error::Overloaded {
            limit: self.config.queue_len_max,
        }
    }

    pub(crate) fn report_dropped(&self, reason: DropReason) {
        if let Some(observer) = &self.observer {
            observer.on_dropped(reason);
        }
    }

    pub(crate) fn report_batch(&self, batch: &BatchRecord) {
        if let Some(observer) = &self.observer {
            observer.on_batch(batch);
        }
    }

    /// Waits until all that was queued before is answered.
    pub(crate) async fn drain(self: &Arc<Self>) {
        let (epoch, todo) = self.core.flush(self.now_ns());
        self.act(todo);
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            if self.core.is_over(epoch) {
                return;
            }
            settled.await;
        }
    }
}

/// The timer of the window: there is at most one, and it ends with the first
/// window after which nothing waits.
async fn watch<T, O, E>(inner: Arc<Inner<T, O, E>>, mut at_ns: u64)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    loop {
        tokio::time::sleep_until(inner.origin + Duration::from_nanos(at_ns)).await;
        match inner.core.watch(inner.now_ns()) {
            Watch::Over => return,
            Watch::At(next_ns) => at_ns = next_ns,
            Watch::Ripe(todo) => return inner.act(todo),
        }
    }
}
