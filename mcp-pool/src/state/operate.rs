//! What operators, and the other pools of a set, can ask for.

use super::{CLOSED, PAUSED, State, Todo};
use crate::{error::Error, slot::Slot, stats::CloseReason};

impl<C> State<C> {
    /// Takes all idle connections out for a look.
    pub(crate) fn begin_look(&mut self) -> Vec<Box<Slot<C>>> {
        self.checking += self.idle.len();
        self.idle.drain(..).collect()
    }

    /// A round of checks begins; its number.
    pub(crate) fn begin_round(&mut self) -> u64 {
        self.rounds += 1;
        self.rounds
    }

    /// Takes an idle connection out that has not had its turn in this round.
    pub(crate) fn begin_check(&mut self, round: u64) -> Option<Box<Slot<C>>> {
        let at = self.idle.iter().position(|slot| slot.meta.round < round)?;
        let mut slot = self.idle.remove(at)?;
        slot.meta.round = round;
        self.checking += 1;
        Some(slot)
    }

    /// Since when the least recently used idle connection is idle. Somebody waits
    /// for its place, which counts for more than `min_connections`.
    pub(crate) fn spare_since_ns(&self) -> Option<u64> {
        self.idle.front().map(|oldest| oldest.meta.idle_since_ns)
    }

    /// When the caller came that waits for longest.
    pub(crate) fn first_wait_ns(&self) -> Option<u64> {
        let (_, first) = self.queue.iter().next()?;
        Some(first.deadline_ns.saturating_sub(first.limit_ns))
    }

    /// Closes that one.
    pub(crate) fn evict(&mut self, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        if let Some(slot) = self.idle.pop_front() {
            self.dismiss(slot, CloseReason::Surplus, &mut todo);
        }
        todo
    }

    /// Lends nothing until [`resume`](Self::resume).
    pub(crate) fn pause(&mut self) {
        self.mode |= PAUSED;
    }

    pub(crate) fn resume(&mut self, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.mode &= !PAUSED;
        self.serve(&mut todo);
        todo
    }

    /// From now on there may be so many connections.
    pub(crate) fn resize(&mut self, max: usize, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.limits.max = max;
        while self.open() > max
            && let Some(slot) = self.idle.pop_front()
        {
            self.dismiss(slot, CloseReason::Surplus, &mut todo);
        }
        self.serve(&mut todo);
        todo
    }

    pub(crate) fn close(&mut self) -> Todo<C> {
        let mut todo = Todo {
            ring: true,
            ..Todo::default()
        };
        self.mode |= CLOSED;
        while let Some(waiter) = self.queue.pop() {
            todo.fail.push((waiter.place, Error::Closed));
        }
        while let Some(slot) = self.idle.pop_front() {
            self.dismiss(slot, CloseReason::Closed, &mut todo);
        }
        todo.drained = self.is_drained();
        todo
    }
}
