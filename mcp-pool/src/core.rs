//! The state behind one lock. Every method is one step: one lock for a
//! checkout, one for a return.

use crate::{
    error::Error,
    slot::Slot,
    state::{Back, Entered, Place, State, Todo},
    sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock},
};

#[cfg(all(test, mcp_loom))]
mod loom_models;

pub(crate) struct Core<C> {
    state: Mutex<State<C>>,
    /// A hint: the last caller that came had to wait. Whoever comes now makes
    /// ready to wait before it takes the lock, and takes it once.
    busy: AtomicBool,
}

impl<C> Core<C> {
    pub(crate) fn new(state: State<C>) -> Self {
        Self {
            state: Mutex::new(state),
            busy: AtomicBool::new(false),
        }
    }

    /// For the steps that need nothing but the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<C>> {
        lock(&self.state)
    }

    /// An idle connection, if one can be lent as it is.
    pub(crate) fn lend(&self) -> Option<Box<Slot<C>>> {
        self.lock().lend()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(
        &self,
        place: &Place<C>,
        limit_ns: u64,
        now_ns: u64,
    ) -> (Entered<C>, Option<Todo<C>>) {
        let mut state = self.lock();
        if let Some(key) = state.join(place, limit_ns, now_ns) {
            self.note_busy(true);
            return (Entered::Queued(key), None);
        }
        let (entered, todo) = state.enter(place, limit_ns, now_ns);
        self.note_busy(matches!(entered, Entered::Queued(_)));
        (entered, Some(todo))
    }

    /// Written only when it changes: all callers read it.
    fn note_busy(&self, busy: bool) {
        if busy != self.is_busy() {
            self.busy.store(busy, Ordering::Relaxed);
        }
    }

    /// A lent connection comes back: what is to be done outside of the lock.
    pub(crate) fn give_back(&self, slot: Box<Slot<C>>, now_ns: impl FnOnce() -> u64) -> Back<C> {
        let mut state = self.lock();
        let back = state.give_back(slot, now_ns);
        if matches!(back, Back::Idle) {
            self.note_busy(false);
        }
        back
    }

    pub(crate) fn take_back(&self, slot: Box<Slot<C>>, now_ns: impl FnOnce() -> u64) -> Back<C> {
        self.lock().take_back(slot, now_ns)
    }
}

/// Gives a waiter its connection; gives it back if the waiter has left.
pub(crate) fn hand<C>(place: &Place<C>, slot: Box<Slot<C>>) -> Result<(), Box<Slot<C>>> {
    match place.give(Ok(slot)) {
        Ok(waker) => {
            waker.wake();
            Ok(())
        }
        Err(answer) => match answer {
            Ok(slot) => Err(slot),
            Err(_) => unreachable!("a connection was offered"),
        },
    }
}

/// Tells a waiter that it gets none.
pub(crate) fn refuse<C>(place: &Place<C>, error: Error) {
    // One that has left does not miss it.
    if let Ok(waker) = place.give(Err(error)) {
        waker.wake();
    }
}
