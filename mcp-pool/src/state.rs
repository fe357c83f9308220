//! Every decision of a pool, as functions of (state, event, now): no clock, no
//! lock, no task. What is to be done outside is said in a [`Todo`].

use crate::{
    clock::NEVER,
    config::Limits,
    error::{Cause, Error},
    handoff::Handoff,
    lent::Lent,
    queue::{Key, Queue},
    random::Random,
    slot::Slot,
    stats::{CloseReason, Counters},
    sync::Arc,
};
use std::collections::VecDeque;

mod opening;
mod operate;
mod place;
mod upkeep;

/// Nothing is lent any more.
const CLOSED: u8 = 1;
/// Nothing is lent until [`State::resume`].
const PAUSED: u8 = 2;
/// `now_ns` stands still, as nothing has happened for a while.
const DORMANT: u8 = 4;

/// What a waiter is given in the end.
pub(crate) type Answer<C> = Result<Box<Slot<C>>, Error>;
pub(crate) type Place<C> = Arc<Handoff<Answer<C>>>;

struct Waiter<C> {
    place: Place<C>,
    deadline_ns: u64,
    limit_ns: u64,
}

pub(crate) struct State<C> {
    mode: u8,
    /// The time in steps of [`TICK_NS`]: a clock that costs nothing to read.
    now_ns: u64,
    limits: Limits,
    /// In the order in which they became idle, the latest at the back.
    idle: VecDeque<Box<Slot<C>>>,
    queue: Queue<Waiter<C>>,
    lent: Lent,
    checking: usize,
    /// Checks begun for waiters, which need no other connection for now.
    promised: usize,
    opening: usize,
    /// Connections that say good-bye: the other side still counts them.
    closing: usize,
    /// Connects that failed in a row, and when to try again.
    failures: u32,
    retry_ns: u64,
    /// Until then nothing is connected for `min_connections` alone.
    refill_ns: u64,
    last_cause: Option<std::sync::Arc<Cause>>,
    /// When the upkeep comes next, and what it last saw.
    wake_ns: u64,
    touched: bool,
    seen_ops: u64,
    next_id: u64,
    rounds: u64,
    random: Random,
    counters: Counters,
}

/// What the shell has to do after a step, without the lock.
#[must_use]
pub(crate) struct Todo<C> {
    /// Connects to start; each one is counted already.
    pub(crate) open: usize,
    pub(crate) check: Vec<Box<Slot<C>>>,
    /// Idle ones to look at without waiting, for those who wait.
    pub(crate) peek: Vec<Box<Slot<C>>>,
    pub(crate) close: Vec<(Box<Slot<C>>, CloseReason)>,
    pub(crate) hand: Vec<(Place<C>, Box<Slot<C>>)>,
    pub(crate) fail: Vec<(Place<C>, Error)>,
    /// The upkeep has to come earlier than it meant to.
    pub(crate) ring: bool,
    /// A closed pool has no connection left.
    pub(crate) drained: bool,
}

impl<C> Default for Todo<C> {
    fn default() -> Self {
        Self {
            open: 0,
            check: Vec::new(),
            peek: Vec::new(),
            close: Vec::new(),
            hand: Vec::new(),
            fail: Vec::new(),
            ring: false,
            drained: false,
        }
    }
}

/// What a closer look at a connection found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The other side answered.
    Passed,
    /// It is closed, as one sees without asking.
    Broken,
    /// It did not, or the check did not come to an end.
    Failed,
    /// Nothing was asked of it.
    Kept,
    /// It is not wanted.
    Dismissed,
}

/// What becomes of a caller that comes.
pub(crate) enum Entered<C> {
    Lent(Box<Slot<C>>),
    Queued(Key),
    Refused(Error),
}

/// What becomes of a connection that comes back.
pub(crate) enum Back<C> {
    Idle,
    Hand(Place<C>, Box<Slot<C>>),
    Todo(Todo<C>),
}

impl<C> State<C> {
    pub(crate) fn new(limits: Limits, random: Random) -> Self {
        Self {
            mode: 0,
            now_ns: 0,
            limits,
            idle: VecDeque::new(),
            queue: Queue::new(),
            lent: Lent::default(),
            checking: 0,
            promised: 0,
            opening: 0,
            closing: 0,
            failures: 0,
            retry_ns: 0,
            refill_ns: 0,
            last_cause: None,
            wake_ns: NEVER,
            touched: true,
            seen_ops: 0,
            next_id: 0,
            rounds: 0,
            random,
            counters: Counters::new(),
        }
    }

    /// The connection that was returned last, if it can be lent without a
    /// closer look.
    pub(crate) fn lend(&mut self) -> Option<Box<Slot<C>>> {
        let latest = self.idle.back()?;
        if self.mode != 0 || latest.meta.look_ns <= self.now_ns {
            return None;
        }
        let mut slot = self.idle.pop_back()?;
        self.note_lent(&mut slot);
        Some(slot)
    }

    /// As [`lend`](Self::lend), where the state's own time may stand still.
    pub(crate) fn lend_at(&mut self, now_ns: u64) -> (Option<Box<Slot<C>>>, Todo<C>) {
        let todo = self.begin(now_ns);
        (self.lend(), todo)
    }

    /// The usual case of [`enter`](Self::enter) where all connections are lent:
    /// nothing is to be done but to wait.
    pub(crate) fn join(&mut self, place: &Place<C>, limit_ns: u64, now_ns: u64) -> Option<Key> {
        let deadline_ns = now_ns.saturating_add(limit_ns);
        let taken = self.open() + self.opening + self.closing;
        let only_waits = self.mode == 0
            && self.idle.is_empty()
            && taken >= self.limits.max
            && self.queue.len() < self.limits.max_waiters
            && deadline_ns >= self.wake_ns;
        if !only_waits {
            return None;
        }
        self.now_ns = self.now_ns.max(now_ns);
        self.touched = true;
        Some(self.queue.push(Waiter {
            place: Arc::clone(place),
            deadline_ns,
            limit_ns,
        }))
    }

    /// A caller that is ready to wait for up to `limit_ns`.
    pub(crate) fn enter(
        &mut self,
        place: &Place<C>,
        limit_ns: u64,
        now_ns: u64,
    ) -> (Entered<C>, Todo<C>) {
        let mut todo = self.begin(now_ns);
        if self.is(CLOSED) {
            return (Entered::Refused(Error::Closed), todo);
        }
        if let Some(slot) = self.lend() {
            return (Entered::Lent(slot), todo);
        }
        if self.queue.len() >= self.limits.max_waiters {
            self.counters.overloaded += 1;
            let limit = self.limits.max_waiters;
            return (Entered::Refused(Error::Overloaded { limit }), todo);
        }
        let deadline_ns = now_ns.saturating_add(limit_ns);
        let key = self.queue.push(Waiter {
            place: Arc::clone(place),
            deadline_ns,
            limit_ns,
        });
        self.serve(&mut todo);
        todo.ring |= deadline_ns < self.wake_ns;
        (Entered::Queued(key), todo)
    }

    /// A waiter goes away. Nothing, if it was about to be given something.
    pub(crate) fn leave(&mut self, key: Key) {
        if self.queue.remove(key).is_some() {
            self.counters.cancelled += 1;
        }
    }

    /// A lent connection comes back in good order. `now_ns` is called only if
    /// the state's own time stands still.
    pub(crate) fn give_back(
        &mut self,
        slot: Box<Slot<C>>,
        now_ns: impl FnOnce() -> u64,
    ) -> Back<C> {
        self.note_back(&slot);
        self.put_back(slot, now_ns)
    }

    fn put_back(&mut self, mut slot: Box<Slot<C>>, now_ns: impl FnOnce() -> u64) -> Back<C> {
        if self.is(DORMANT) {
            let mut todo = self.begin(now_ns());
            slot.meta.rest(self.now_ns, self.limits.check_after_ns);
            self.place(slot, &mut todo);
            return Back::Todo(todo);
        }
        let fits = !self.is(CLOSED)
            && slot.meta.expires_ns > self.now_ns
            && self.open() < self.limits.max
            && self.idle.len() < self.limits.max_idle;
        slot.meta.rest(self.now_ns, self.limits.check_after_ns);
        if !fits {
            let mut todo = Todo::default();
            self.place(slot, &mut todo);
            return Back::Todo(todo);
        }
        match self.next_waiter() {
            Some(place) => {
                self.note_lent(&mut slot);
                Back::Hand(place, slot)
            }
            None => {
                self.idle.push_back(slot);
                Back::Idle
            }
        }
    }

    /// The waiter that was to have it had left: as if it had not been lent.
    pub(crate) fn take_back(
        &mut self,
        mut slot: Box<Slot<C>>,
        now_ns: impl FnOnce() -> u64,
    ) -> Back<C> {
        slot.meta.uses -= 1;
        self.counters.checkouts -= 1;
        self.counters.first_uses -= u64::from(slot.meta.uses == 0);
        self.counters.cancelled += 1;
        self.lent.give_back(slot.meta.index);
        self.put_back(slot, now_ns)
    }

    /// A lent connection is not to be lent again.
    pub(crate) fn retire(
        &mut self,
        slot: Box<Slot<C>>,
        reason: CloseReason,
        now_ns: u64,
    ) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.note_back(&slot);
        self.dismiss(slot, reason, &mut todo);
        self.serve(&mut todo);
        todo
    }

    /// A lent connection is its borrower's to keep; its place is free.
    pub(crate) fn detach(&mut self, slot: Box<Slot<C>>, now_ns: u64) -> (Todo<C>, Box<Slot<C>>) {
        let mut todo = self.begin(now_ns);
        self.note_back(&slot);
        self.lent.remove(slot.meta.index);
        self.counters.detached += 1;
        todo.drained = self.is_drained();
        self.serve(&mut todo);
        (todo, slot)
    }

    /// A good-bye is over.
    pub(crate) fn closed_one(&mut self, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.closing -= 1;
        todo.drained = self.is_drained();
        self.serve(&mut todo);
        todo
    }

    /// What a closer look at a connection found.
    pub(crate) fn looked(&mut self, mut slot: Box<Slot<C>>, found: Look, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        // Another one may be due.
        todo.ring = true;
        self.checking -= 1;
        self.promised -= usize::from(std::mem::take(&mut slot.meta.promised));
        match found {
            Look::Passed => {
                self.counters.checks_passed += 1;
                slot.meta.confirm(self.now_ns, self.limits.check_after_ns);
                self.place(slot, &mut todo);
            }
            Look::Kept => self.place(slot, &mut todo),
            Look::Broken => self.dismiss(slot, CloseReason::Broken, &mut todo),
            Look::Failed => self.dismiss(slot, CloseReason::Unhealthy, &mut todo),
            Look::Dismissed => self.dismiss(slot, CloseReason::Dismissed, &mut todo),
        }
        self.serve(&mut todo);
        todo
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is(CLOSED)
    }

    pub(crate) fn last_cause(&self) -> Option<std::sync::Arc<Cause>> {
        self.last_cause.clone()
    }

    /// Closed, and without any connection.
    pub(crate) fn is_drained(&self) -> bool {
        self.is(CLOSED) && self.open() + self.opening + self.closing == 0
    }
}
