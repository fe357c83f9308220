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
    /// How many of the connects that it began no caller waits for any more.
    fn surplus(&self) -> usize;

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
    waiters: VecDeque<Waiter>,
    members: Vec<(usize, Weak<dyn Member>)>,
    /// Connections that were told to make room and still have theirs.
    leaving: usize,
}

/// A connect that waits for a permit.
struct Waiter {
    class: usize,
    member: Weak<dyn Member>,
    since_ns: u64,
    sender: oneshot::Sender<Permit>,
}

impl Waiter {
    fn is_of(&self, member: &Weak<dyn Member>) -> bool {
        // The data alone: of one type there may be several tables.
        std::ptr::addr_eq(self.member.as_ptr(), member.as_ptr())
    }
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

    /// Sends connects away that nobody needs any more, so that no connection is
    /// closed for them.
    fn forget_surplus(&self) {
        let members: Vec<_> = {
            let state = self.state.lock();
            let mut members: Vec<Weak<dyn Member>> = Vec::new();
            for waiter in &state.waiters {
                if !members.iter().any(|member| waiter.is_of(member)) {
                    members.push(Weak::clone(&waiter.member));
                }
            }
            members
        };
        for member in members {
            let mut surplus = member.upgrade().map_or(usize::MAX, |pool| pool.surplus());
            if surplus == 0 {
                continue;
            }
            let mut state = self.state.lock();
            // Those that came last have the least to lose.
            let kept = state.waiters.drain(..).rev().filter(|waiter| {
                let goes = surplus > 0 && waiter.is_of(&member);
                surplus -= usize::from(goes);
                !goes
            });
            let kept: Vec<_> = kept.collect();
            state.waiters.extend(kept.into_iter().rev());
        }
    }

    /// Whether a connection of `member` that comes back makes room for a connect
    /// of another pool, since that has waited for longer than `since_ns`, when the
    /// first caller here came. Then that connect is the next one.
    pub(crate) fn claims(&self, class: usize, member: &Weak<dyn Member>, since_ns: u64) -> bool {
        let mut state = self.state.lock();
        let State {
            budget, waiters, ..
        } = &mut *state;
        waiters.retain(|waiter| !waiter.sender.is_closed());
        let at = waiters.iter().position(|waiter| {
            waiter.since_ns < since_ns && !waiter.is_of(member) && budget.helps(class, waiter.class)
        });
        let Some(at) = at else { return false };
        if state.waiters.len() <= state.leaving {
            return false;
        }
        if let Some(waiter) = state.waiters.remove(at) {
            state.waiters.push_front(waiter);
        }
        state.leaving += 1;
        true
    }

    /// Closes the least recently used idle connection whose place is of use to
    /// somebody of another pool who waits, if there is one.
    pub(crate) fn make_room(&self) {
        self.forget_surplus();
        let candidates: Vec<_> = {
            let mut state = self.state.lock();
            state.waiters.retain(|waiter| !waiter.sender.is_closed());
            self.hungry
                .store(!state.waiters.is_empty(), Ordering::Relaxed);
            if state.waiters.len() <= state.leaving {
                return;
            }
            state.leaving += 1;
            let helps = |from: usize, member: &Weak<dyn Member>| {
                let mut waiters = state.waiters.iter();
                waiters
                    .any(|waiter| !waiter.is_of(member) && state.budget.helps(from, waiter.class))
            };
            let members = state.members.iter();
            let members = members.filter(|(from, member)| helps(*from, member));
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
    fn grant(&self, state: &mut State) -> Vec<Waiter> {
        let mut granted = Vec::new();
        let State {
            budget, waiters, ..
        } = state;
        waiters.retain(|waiter| !waiter.sender.is_closed());
        let mut at = 0;
        while let Some(waiter) = waiters.get(at) {
            if budget.take(waiter.class) {
                granted.extend(waiters.remove(at));
            } else {
                at += 1;
            }
        }
        self.hungry.store(!waiters.is_empty(), Ordering::Relaxed);
        granted
    }

    fn send(self: &Arc<Self>, granted: Vec<Waiter>) {
        for Waiter { class, sender, .. } in granted {
            let cap = Arc::clone(self);
            // Whoever has left drops the permit, which releases it.
            drop(sender.send(Permit { cap, class }));
        }
    }
}

impl Under {
    /// A place for one connection, if it is there at once.
    pub(crate) fn try_permit(&self) -> Option<Permit> {
        // Whoever waits could not have had it.
        let takes = self.cap.state.lock().budget.take(self.class);
        takes.then(|| Permit {
            cap: Arc::clone(&self.cap),
            class: self.class,
        })
    }

    /// A place for one connection of `member`, as soon as there is one; closes an
    /// idle connection of another pool if that helps. The sender is dropped when
    /// nobody needs the connection any more.
    pub(crate) fn permit(
        &self,
        member: Weak<dyn Member>,
        since_ns: u64,
    ) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        let granted = {
            let mut state = self.cap.state.lock();
            state.waiters.push_back(Waiter {
                class: self.class,
                member,
                since_ns,
                sender,
            });
            // A place may have come back meanwhile.
            self.cap.grant(&mut state)
        };
        self.cap.send(granted);
        self.cap.make_room();
        receiver
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
