//! The parts of a step: where a connection goes, and who is served.

use super::{CLOSED, DORMANT, PAUSED, Place, State, Todo};
use crate::{slot::Slot, stats::CloseReason};

/// What is at the back of the idle ones.
enum Idle<C> {
    Ready(Box<Slot<C>>),
    /// It was not seen alive for a while.
    Stale(Box<Slot<C>>),
    None,
}

impl<C> State<C> {
    pub(super) fn is(&self, mode: u8) -> bool {
        self.mode & mode != 0
    }

    /// Connections that are open, wherever they are, and not about to go.
    pub(super) fn open(&self) -> usize {
        self.lent.count() + self.idle.len() + self.checking
    }

    /// A step that knows the precise time. Time goes on from now on.
    pub(super) fn begin(&mut self, now_ns: u64) -> Todo<C> {
        self.now_ns = self.now_ns.max(now_ns);
        self.touched = true;
        let ring = self.is(DORMANT);
        self.mode &= !DORMANT;
        Todo {
            ring,
            ..Todo::default()
        }
    }

    pub(super) fn note_lent(&mut self, slot: &mut Slot<C>) {
        self.lent.lend(slot.meta.index, self.now_ns);
        self.counters.checkouts += 1;
        self.counters.first_uses += u64::from(slot.meta.uses == 0);
        slot.meta.uses += 1;
    }

    pub(super) fn note_back(&mut self, slot: &Slot<C>) {
        self.lent.give_back(slot.meta.index);
        self.counters.returns += 1;
    }

    pub(super) fn next_waiter(&mut self) -> Option<Place<C>> {
        if self.is(PAUSED) {
            return None;
        }
        self.queue.pop().map(|waiter| waiter.place)
    }

    /// A connection in good order that is neither lent nor idle: to the first
    /// waiter, or to the idle ones. Idle for how long is its own to say.
    pub(super) fn place(&mut self, mut slot: Box<Slot<C>>, todo: &mut Todo<C>) {
        let unwanted = if self.is(CLOSED) {
            Some(CloseReason::Closed)
        } else if slot.meta.expires_ns <= self.now_ns {
            Some(CloseReason::Expired)
        } else if self.open() >= self.limits.max {
            Some(CloseReason::Surplus)
        } else {
            None
        };
        if let Some(reason) = unwanted {
            self.dismiss(slot, reason, todo);
            return self.serve(todo);
        }
        if let Some(place) = self.next_waiter() {
            self.note_lent(&mut slot);
            return todo.hand.push((place, slot));
        }
        let since_ns = slot.meta.idle_since_ns;
        let at = self
            .idle
            .partition_point(|other| other.meta.idle_since_ns <= since_ns);
        self.idle.insert(at, slot);
        if self.idle.len() > self.limits.max_idle
            && let Some(oldest) = self.idle.pop_front()
        {
            self.dismiss(oldest, CloseReason::Surplus, todo);
        }
    }

    /// A connection that is neither lent nor idle is closed. It keeps its place
    /// until that is done, so that the other side never sees more than the limit.
    pub(super) fn dismiss(&mut self, slot: Box<Slot<C>>, reason: CloseReason, todo: &mut Todo<C>) {
        self.lent.remove(slot.meta.index);
        self.counters.closes.add(reason);
        self.closing += 1;
        todo.close.push((slot, reason));
    }

    /// Has what is idle looked at for the waiters, or checked if it is stale;
    /// they are given it then. Then connects for those that nothing is on its way for.
    pub(super) fn serve(&mut self, todo: &mut Todo<C>) {
        while !self.is(PAUSED) && self.queue.len() > self.promised {
            let (mut slot, out) = match self.pop_idle(todo) {
                Idle::Ready(slot) => (slot, &mut todo.peek),
                Idle::Stale(slot) => (slot, &mut todo.check),
                Idle::None => break,
            };
            slot.meta.promised = true;
            self.promised += 1;
            self.checking += 1;
            out.push(slot);
        }
        self.start_connects(todo);
    }

    fn pop_idle(&mut self, todo: &mut Todo<C>) -> Idle<C> {
        while let Some(slot) = self.idle.pop_back() {
            if slot.meta.expires_ns <= self.now_ns {
                self.dismiss(slot, CloseReason::Expired, todo);
            } else if slot.meta.look_ns <= self.now_ns {
                return Idle::Stale(slot);
            } else {
                return Idle::Ready(slot);
            }
        }
        Idle::None
    }
}
