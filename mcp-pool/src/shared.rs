//! The shell around the state: does what its steps ask for.

use crate::{
    cap::{Member, Under},
    clock::Clock,
    config::Config,
    core::{Core, hand, refuse},
    error::Error,
    histogram::Waits,
    manager::Manager,
    observer::Observer,
    slot::Slot,
    state::{Back, Todo},
    stats::CloseReason,
    tasks::{self, Held},
};
use std::sync::{Arc, Weak};
use tokio::{runtime::Handle, sync::Notify};

pub(crate) struct Shared<M: Manager> {
    pub(crate) core: Core<M::Connection>,
    pub(crate) manager: Arc<M>,
    pub(crate) clock: Clock,
    pub(crate) waits: Waits,
    pub(crate) config: Config,
    pub(crate) acquire_ns: u64,
    pub(crate) runtime: Handle,
    /// Rings for the upkeep.
    pub(crate) bell: Arc<Notify>,
    /// Rings when a closed pool has no connection left.
    pub(crate) drained: Notify,
    pub(crate) observer: Arc<dyn Observer>,
    /// The cap of the set that the pool belongs to.
    pub(crate) under: Option<Under>,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Does what a step asks for. No lock is held here.
    pub(crate) fn act(self: &Arc<Self>, todo: Todo<M::Connection>) {
        let mut out = self.act_once(todo);
        // Each one that is broken may have another one looked at.
        while let Some(held) = out.pop() {
            let todo = held.peek();
            out.extend(self.act_once(todo));
        }
        self.share();
    }

    /// What is out for a look afterwards.
    fn act_once(self: &Arc<Self>, todo: Todo<M::Connection>) -> Vec<Held<M>> {
        if todo.ring {
            self.bell.notify_one();
        }
        for _ in 0..todo.open {
            tasks::connect(self);
        }
        for slot in todo.check {
            drop(tasks::check(self, slot));
        }
        for (place, error) in todo.fail {
            if let Error::Timeout { limit, .. } = &error {
                self.observer.on_timeout(*limit);
            }
            refuse(&place, error);
        }
        for (place, slot) in todo.hand {
            if let Err(slot) = hand(&place, slot) {
                self.not_taken(slot);
            }
        }
        for (slot, reason) in todo.close {
            tasks::close(self, slot, reason);
        }
        if todo.drained {
            self.drained.notify_waiters();
        }
        let peek = todo.peek.into_iter();
        peek.map(|slot| Held::new(self, slot)).collect()
    }

    /// What is idle here may be wanted by another pool of the set.
    fn share(&self) {
        if let Some(under) = &self.under
            && under.cap.is_hungry()
        {
            under.cap.make_room();
        }
    }

    /// Whether a connection that comes back has to make room for another pool,
    /// although somebody waits here: nobody waits for ever beside a pool that is
    /// always in demand.
    fn is_claimed(self: &Arc<Self>) -> bool {
        let Some(under) = &self.under else {
            return false;
        };
        if !under.cap.is_hungry() {
            return false;
        }
        let first_ns = self.core.lock().first_wait_ns();
        first_ns.is_some_and(|since_ns| under.cap.claims(under.class, &self.member(), since_ns))
    }

    pub(crate) fn member(self: &Arc<Self>) -> Weak<dyn Member> {
        let member: Weak<Self> = Arc::downgrade(self);
        member
    }

    /// An idle connection that is open, without a wait.
    pub(crate) fn lend(self: &Arc<Self>) -> Option<Box<Slot<M::Connection>>> {
        loop {
            let slot = self.core.lend()?;
            if let Some(slot) = self.open_or_retire(slot) {
                return Some(slot);
            }
        }
    }

    /// As [`lend`](Self::lend), also after a time in which nothing happened.
    pub(crate) fn try_lend(self: &Arc<Self>) -> Option<Box<Slot<M::Connection>>> {
        loop {
            let (slot, todo) = self.core.lock().lend_at(self.now_ns());
            self.act(todo);
            if let Some(slot) = self.open_or_retire(slot?) {
                return Some(slot);
            }
        }
    }

    /// A lent connection, if it is open; one whose look panics is not.
    pub(crate) fn open_or_retire(
        self: &Arc<Self>,
        slot: Box<Slot<M::Connection>>,
    ) -> Option<Box<Slot<M::Connection>>> {
        let mut looked_at = LookedAt {
            shared: self,
            slot: Some(slot),
        };
        let slot = looked_at.slot.as_deref_mut()?;
        match self.manager.is_open(&mut slot.connection) {
            true => looked_at.slot.take(),
            false => None,
        }
    }

    /// A waiter was given a connection and is gone before it took it.
    pub(crate) fn not_taken(self: &Arc<Self>, slot: Box<Slot<M::Connection>>) {
        self.finish(self.core.take_back(slot, || self.now_ns()));
    }

    /// A lent connection comes back.
    pub(crate) fn give_back(self: &Arc<Self>, slot: Box<Slot<M::Connection>>) {
        if slot.meta.retired {
            return self.retire(slot, CloseReason::Broken);
        }
        if let Some(slot) = self.open_or_retire(slot) {
            if self.is_claimed() {
                return self.retire(slot, CloseReason::Surplus);
            }
            self.finish(self.core.give_back(slot, || self.now_ns()));
        }
    }

    /// Until a connection that came back is where it belongs. A waiter may
    /// leave at the moment in which it is to be given one; then it is the next
    /// one's.
    fn finish(self: &Arc<Self>, mut back: Back<M::Connection>) {
        loop {
            match back {
                Back::Idle => return self.share(),
                Back::Todo(todo) => return self.act(todo),
                Back::Hand(place, slot) => match hand(&place, slot) {
                    Ok(()) => return,
                    Err(slot) => back = self.core.take_back(slot, || self.now_ns()),
                },
            }
        }
    }

    /// A lent connection is not lent again.
    pub(crate) fn retire(self: &Arc<Self>, slot: Box<Slot<M::Connection>>, reason: CloseReason) {
        let todo = self.core.lock().retire(slot, reason, self.now_ns());
        self.act(todo);
    }
}

/// A lent connection that is retired unless it is found open.
struct LookedAt<'a, M: Manager> {
    shared: &'a Arc<Shared<M>>,
    slot: Option<Box<Slot<M::Connection>>>,
}

impl<M: Manager> Drop for LookedAt<'_, M> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.shared.retire(slot, CloseReason::Broken);
        }
    }
}

impl<M: Manager> Member for Shared<M> {
    fn surplus(&self) -> usize {
        self.core.lock().surplus_connects()
    }

    fn idle_since_ns(&self) -> Option<u64> {
        self.core.lock().spare_since_ns()
    }

    fn evict(self: Arc<Self>) -> bool {
        let todo = self.core.lock().evict(self.now_ns());
        let evicts = !todo.close.is_empty();
        self.act(todo);
        evicts
    }
}

impl<M: Manager> Drop for Shared<M> {
    fn drop(&mut self) {
        let todo = self.core.lock().close();
        for (slot, reason) in todo.close {
            tasks::close_last(self, slot, reason);
        }
        self.bell.notify_one();
    }
}
