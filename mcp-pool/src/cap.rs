//! The cap that the pools of a set share: permits, who waits for one, and whose
//! idle connection makes room.

use crate::budget::Budget;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::oneshot;

/// A pool whose idle connections may be closed to make room for others.
pub(crate) trait Member: Send + Sync {
    /// Since when its least recently used idle connection is idle.
    fn idle_since_ns(&self) -> Option<u64>;

    /// Closes that one, if it is still there.
    fn evict(self: Arc<Self>) -> bool;
}

pub(crate) struct Cap {
    state: Mutex<State>,
    /// A hint: somebody waits for a permit, so whoever has an idle connection
    /// should ask whether it is wanted.
    hungry: AtomicBool,
}

struct State {
    budget: Budget,
    waiters: VecDeque<(usize, oneshot::Sender<Permit>)>,
    members: Vec<(usize, Weak<dyn Member>)>,
    /// Connections that were told to make room and still have theirs.
    leaving: usize,
}

/// The right of one connection to exist.
pub(crate) struct Permit {
    cap: Arc<Cap>,
    class: usize,
}

/// Which cap a pool is under, as what.
#[derive(Clone)]
pub(crate) struct Under {
    pub(crate) cap: Arc<Cap>,
    pub(crate) class: usize,
}

impl Cap {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                budget,
                waiters: VecDeque::new(),
                members: Vec::new(),
                leaving: 0,
            }),
            hungry: AtomicBool::new(false),
        })
    }

    pub(crate) fn join(&self, class: usize, member: Weak<dyn Member>) {
        let mut state = self.state.lock();
        state
            .members
            .retain(|(_, member)| member.strong_count() > 0);
        state.members.push((class, member));
    }

    pub(crate) fn used(&self, class: usize) -> usize {
        self.state.lock().budget.used(class)
    }

    pub(crate) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed)
    }

    /// Closes the least recently used idle connection whose place is of use to
    /// somebody who waits, if there is one.
    pub(crate) fn make_room(&self) {
        let candidates: Vec<_> = {
            let mut state = self.state.lock();
            state.waiters.retain(|(_, waiter)| !waiter.is_closed());
            self.hungry
                .store(!state.waiters.is_empty(), Ordering::Relaxed);
            if state.waiters.len() <= state.leaving {
                return;
            }
            state.leaving += 1;
            let helps = |from: usize| {
                let mut waiters = state.waiters.iter();
                waiters.any(|(class, _)| state.budget.helps(from, *class))
            };
            let members = state.members.iter().filter(|(from, _)| helps(*from));
            members.filter_map(|(_, member)| member.upgrade()).collect()
        };
        // Its own lock is taken by a member only without ours.
        let idle = candidates
            .iter()
            .filter_map(|member| Some((member.idle_since_ns()?, member)));
        let oldest = idle.min_by_key(|(since_ns, _)| *since_ns);
        let evicts = oldest.is_some_and(|(_, member)| Arc::clone(member).evict());
        if !evicts {
            let mut state = self.state.lock();
            state.leaving = state.leaving.saturating_sub(1);
        }
    }

    fn release(self: &Arc<Self>, class: usize) {
        let granted = {
            let mut state = self.state.lock();
            state.budget.put(class);
            state.leaving = state.leaving.saturating_sub(1);
            self.grant(&mut state)
        };
        self.send(granted);
    }

    /// Permits for those that can have one, in the order in which they came.
    fn grant(&self, state: &mut State) -> Vec<(usize, oneshot::Sender<Permit>)> {
        let mut granted = Vec::new();
        let State {
            budget, waiters, ..
        } = state;
        waiters.retain(|(_, waiter)| !waiter.is_closed());
        let mut at = 0;
        while let Some((class, _)) = waiters.get(at) {
            if budget.take(*class) {
                granted.extend(waiters.remove(at));
            } else {
                at += 1;
            }
        }
        self.hungry.store(!waiters.is_empty(), Ordering::Relaxed);
        granted
    }

    fn send(self: &Arc<Self>, granted: Vec<(usize, oneshot::Sender<Permit>)>) {
        for (class, waiter) in granted {
            let cap = Arc::clone(self);
            // Whoever has left drops the permit, which releases it.
            drop(waiter.send(Permit { cap, class }));
        }
    }
}

impl Under {
    /// A place for one connection; waits for it, and closes an idle connection
    /// of another pool if that helps.
    pub(crate) async fn permit(&self) -> Option<Permit> {
        let receiver = {
            let mut state = self.cap.state.lock();
            // Whoever waits could not have had it.
            if state.budget.take(self.class) {
                let (cap, class) = (Arc::clone(&self.cap), self.class);
                return Some(Permit { cap, class });
            }
            let (sender, receiver) = oneshot::channel();
            state.waiters.push_back((self.class, sender));
            self.cap.hungry.store(true, Ordering::Relaxed);
            receiver
        };
        self.cap.make_room();
        receiver.await.ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cap.release(self.class);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("class", &self.class)
            .finish()
    }
}
