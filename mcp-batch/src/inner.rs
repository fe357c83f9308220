//! What all handles and runners of one processor share.

use crate::{
    BatchRecord, Config, DropReason, Error, Observer, Overflow,
    core::{Arrival, Core, Item, Todo, Watch},
    dedup::Dedup,
    foreign::{caught, drop_each},
    lanes::Lane,
    room::Room,
    runner,
    slot::slot,
    ticket::{Answer, Ticket},
};
use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, TryAcquireError},
    time::Instant,
};

/// The batch function's future.
pub(crate) type Results<O, E> = Pin<Box<dyn Future<Output = Vec<Result<O, E>>> + Send>>;
/// The batch function.
pub(crate) type Function<T, O, E> = Arc<dyn Fn(Vec<T>) -> Results<O, E> + Send + Sync>;
/// A number for an item.
pub(crate) type Measure<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;

/// What an item is on its way.
pub(crate) struct Entry<T, O, E> {
    pub(crate) value: T,
    /// Instead of the processor's; the same for all of a lane.
    pub(crate) function: Option<Function<T, O, E>>,
}

/// An item that was queued.
pub(crate) type Queued<T, O, E> = Item<Entry<T, O, E>, Answer<O, E>>;

/// An item whose caller has measured it: nothing foreign is called between
/// taking its room and filling it.
pub(crate) struct Measured<T, O, E> {
    entry: Entry<T, O, E>,
    lane: Lane,
    bytes: u64,
}

pub(crate) struct Inner<T, O, E> {
    pub(crate) config: Config,
    pub(crate) core: Core<Entry<T, O, E>, Answer<O, E>>,
    pub(crate) function: Function<T, O, E>,
    pub(crate) lane_of: Option<Measure<T>>,
    /// Only with a limit of bytes.
    pub(crate) bytes_of: Option<Measure<T>>,
    pub(crate) dedup: Option<Dedup<T, O, E>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Room in the queue: one permit for each item that it can still hold.
    pub(crate) room: Arc<Semaphore>,
    /// Told when a flush may be over.
    pub(crate) settled: Notify,
    pub(crate) overloaded: AtomicU64,
    /// Lists with a function of their own, each of which is a lane.
    pub(crate) lists: AtomicU64,
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

    pub(crate) fn measure(&self, value: T) -> Measured<T, O, E> {
        let lane = self.lane_of.as_ref().map_or(0, |lane_of| lane_of(&value));
        self.measured(value, Lane::Shared(lane), None)
    }

    pub(crate) fn measured(
        &self,
        value: T,
        lane: Lane,
        function: Option<Function<T, O, E>>,
    ) -> Measured<T, O, E> {
        let bytes = self
            .bytes_of
            .as_ref()
            .map_or(0, |bytes_of| bytes_of(&value));
        let entry = Entry { value, function };
        Measured { entry, lane, bytes }
    }

    pub(crate) fn enqueue(
        self: &Arc<Self>,
        item: Measured<T, O, E>,
        room: Room<'_>,
    ) -> Result<Ticket<O, E>, Error<E>> {
        let (arrival, ticket) = arrival(item);
        self.push([arrival], room)?;
        Ok(ticket)
    }

    /// Queues items in one step.
    pub(crate) fn enqueue_all(
        self: &Arc<Self>,
        items: impl Iterator<Item = Measured<T, O, E>>,
        room: Room<'_>,
    ) -> Result<Vec<Ticket<O, E>>, Error<E>> {
        let (arrivals, tickets): (Vec<_>, Vec<_>) = items.map(arrival).unzip();
        self.push(arrivals, room)?;
        Ok(tickets)
    }

    fn push<A>(self: &Arc<Self>, arrivals: A, room: Room<'_>) -> Result<(), Error<E>>
    where
        A: IntoIterator<Item = Arrival<Entry<T, O, E>, Answer<O, E>>>,
    {
        let pushed = self.core.push(arrivals, self.now_ns());
        let todo = pushed.map_err(|_| Error::Closed)?;
        room.fill();
        self.act(todo);
        Ok(())
    }

    /// Does what a step asked for.
    pub(crate) fn act(self: &Arc<Self>, todo: Todo) {
        for _ in 0..todo.starts {
            runner::start(self);
        }
        if let Some(at_ns) = todo.watch_at_ns {
            let timer = watch(Arc::downgrade(self), self.origin, at_ns);
            self.runtime.spawn(timer);
        }
        if todo.settled {
            self.settled.notify_waiters();
        }
    }

    /// Room for one item. If there is none, the items of callers that went away
    /// leave first.
    pub(crate) fn try_room(self: &Arc<Self>) -> Result<Room<'_>, TryAcquireError> {
        let room = Room::try_one(&self.room);
        if !matches!(room, Err(TryAcquireError::NoPermits)) {
            return room;
        }
        let (gone, todo) = self.core.sweep();
        if !gone.is_empty() {
            self.room.add_permits(gone.len());
            self.drop_cancelled(gone);
            self.act(todo);
        }
        Room::try_one(&self.room)
    }

    /// Room for one item without waiting. There may be no oldest item although
    /// there is no room: it is being started, or on its way in.
    pub(crate) fn room_at_once(self: &Arc<Self>) -> Result<Room<'_>, Error<E>> {
        match self.try_room() {
            Ok(room) => return Ok(room),
            Err(TryAcquireError::Closed) => return Err(Error::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        if self.config.overflow == Overflow::ShedOldest
            && let Some(room) = self.shed_oldest()
        {
            return Ok(room);
        }
        Room::try_one(&self.room).map_err(|_| self.refuse())
    }

    /// Room for one item, by the policy for a full queue.
    pub(crate) async fn room_by_policy(self: &Arc<Self>) -> Result<Room<'_>, Error<E>> {
        if self.config.overflow != Overflow::Wait {
            return self.room_at_once();
        }
        match self.try_room() {
            Ok(room) => Ok(room),
            Err(_) => Room::up_to(&self.room, 1).await.ok_or(Error::Closed),
        }
    }

    fn shed_oldest(self: &Arc<Self>) -> Option<Room<'_>> {
        let (item, todo) = self.core.shed_oldest()?;
        let room = Room::of_one_gone(&self.room);
        let waited_ns = self.now_ns().saturating_sub(item.arrived_ns);
        let waited = Duration::from_nanos(waited_ns);
        let (entry, reply, _) = item.into_parts();
        let _ = caught(|| reply.send(Err(Error::Shed { waited })));
        drop_each([entry]);
        self.report_dropped(DropReason::Shed);
        self.act(todo);
        Some(room)
    }

    pub(crate) fn refuse(&self) -> Error<E> {
        self.overloaded.fetch_add(1, Ordering::Relaxed);
        self.report_dropped(DropReason::Overloaded);
        Error::Overloaded {
            limit: self.config.queue_len_max,
        }
    }

    pub(crate) fn drop_cancelled(&self, items: Vec<Queued<T, O, E>>) {
        for _ in &items {
            self.report_dropped(DropReason::Cancelled);
        }
        drop_each(items);
    }

    fn report_dropped(&self, reason: DropReason) {
        if let Some(observer) = &self.observer {
            let _ = caught(|| observer.on_dropped(reason));
        }
    }

    pub(crate) fn report_batch(&self, batch: &BatchRecord) {
        tracing::trace!(
            size = batch.size,
            left = batch.left,
            waited = ?batch.waited,
            ran = ?batch.ran,
            target_size = batch.target,
            ending = ?batch.ending,
            "a batch ended"
        );
        if let Some(observer) = &self.observer {
            let _ = caught(|| observer.on_batch(batch));
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

type Arriving<T, O, E> = (Arrival<Entry<T, O, E>, Answer<O, E>>, Ticket<O, E>);

fn arrival<T, O, E>(item: Measured<T, O, E>) -> Arriving<T, O, E> {
    let (reply, slot) = slot();
    let arrival = Arrival {
        value: item.entry,
        reply,
        lane: item.lane,
        bytes: item.bytes,
    };
    (arrival, Ticket(slot))
}

/// The timer of the window: there is at most one, and it ends with the first
/// window after which nothing waits. It does not keep the processor: while
/// something waits, a batch is at work, whose runner does.
async fn watch<T, O, E>(inner: Weak<Inner<T, O, E>>, origin: Instant, mut at_ns: u64)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    loop {
        tokio::time::sleep_until(origin + Duration::from_nanos(at_ns)).await;
        let Some(inner) = inner.upgrade() else { return };
        match inner.core.watch(inner.now_ns()) {
            Watch::Over => return,
            Watch::At(next_ns) => at_ns = next_ns,
            Watch::Ripe(todo) => return inner.act(todo),
        }
    }
}
