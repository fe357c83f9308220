//! What is done for time's sake: deadlines, reaping, checks, the clock itself.

use super::{CLOSED, DORMANT, State, Todo};
use crate::{
    clock::NEVER,
    error::Error,
    histogram::WaitHistogram,
    stats::{CloseReason, Stats},
};
use std::sync::Arc;

/// The step of the state's own time while something happens. While nothing
/// does, the upkeep sleeps until something is due.
pub(crate) const TICK_NS: u64 = 20_000_000;

/// What the upkeep found to do.
#[must_use]
pub(crate) struct Upkeep<C> {
    pub(crate) todo: Todo<C>,
    /// How long those have been lent that reached the limit.
    pub(crate) lent_long: Vec<u64>,
    /// When to come again, unless rung for; [`NEVER`] if nothing is due.
    pub(crate) wake_ns: u64,
}

impl<C> State<C> {
    pub(crate) fn upkeep(&mut self, now_ns: u64) -> Upkeep<C> {
        self.now_ns = self.now_ns.max(now_ns);
        let mut todo = Todo::default();
        self.time_out(&mut todo);
        self.reap(&mut todo);
        self.check_one(&mut todo);
        self.serve(&mut todo);
        let lent_long = match self.limits.lent_warn_ns {
            Some(limit_ns) => self.lent.report(self.now_ns, limit_ns),
            None => Vec::new(),
        };
        self.counters.lent_long += lent_long.len() as u64;
        let ops = self.counters.checkouts + self.counters.returns;
        let quiet = ops == self.seen_ops && !std::mem::take(&mut self.touched);
        self.seen_ops = ops;
        self.wake_ns = match quiet {
            true => self.next_due_ns(),
            false => self.next_wait_due_ns().min(self.now_ns + TICK_NS),
        };
        // Whatever it is that is due, time must not stand still until then.
        if quiet {
            self.mode |= DORMANT;
        }
        Upkeep {
            todo,
            lent_long,
            wake_ns: self.wake_ns,
        }
    }

    /// Answers the waiters whose time is up.
    fn time_out(&mut self, todo: &mut Todo<C>) {
        let now_ns = self.now_ns;
        let late = self
            .queue
            .iter()
            .filter(|(_, waiter)| waiter.deadline_ns <= now_ns);
        let late: Vec<_> = late.map(|(key, _)| key).collect();
        for key in late {
            let Some(waiter) = self.queue.remove(key) else {
                continue;
            };
            self.counters.timeouts += 1;
            let error = Error::Timeout {
                limit: std::time::Duration::from_nanos(waiter.limit_ns),
                in_use: self.lent.count(),
                opening: self.opening,
                cause: self.last_cause.as_ref().map(Arc::clone),
            };
            todo.fail.push((waiter.place, error));
        }
    }

    /// Closes what was idle for too long, the longest first, and what is too
    /// old.
    fn reap(&mut self, todo: &mut Todo<C>) {
        let now_ns = self.now_ns;
        let old = self.idle.iter().any(|slot| slot.meta.expires_ns <= now_ns);
        if old {
            let (old, kept) = std::mem::take(&mut self.idle)
                .into_iter()
                .partition::<Vec<_>, _>(|slot| slot.meta.expires_ns <= now_ns);
            self.idle = kept.into();
            for slot in old {
                self.dismiss(slot, CloseReason::Expired, todo);
            }
        }
        while self.idle_due_ns() <= now_ns
            && let Some(slot) = self.idle.pop_front()
        {
            self.dismiss(slot, CloseReason::Idle, todo);
        }
    }

    /// One at a time, so that the others can be lent meanwhile: the one that
    /// has not shown itself alive for longest.
    fn check_one(&mut self, todo: &mut Todo<C>) {
        if self.check_due_ns() > self.now_ns {
            return;
        }
        let seen_ns = |at: &usize| self.idle[*at].meta.seen_ns();
        let oldest = (0..self.idle.len()).min_by_key(seen_ns);
        if let Some(slot) = oldest.and_then(|at| self.idle.remove(at)) {
            self.checking += 1;
            todo.check.push(slot);
        }
    }

    fn check_due_ns(&self) -> u64 {
        let seen_ns = self.idle.iter().map(|slot| slot.meta.seen_ns()).min();
        match (self.limits.health_ns, seen_ns) {
            (Some(health_ns), Some(seen_ns)) if self.checking == 0 => {
                seen_ns.saturating_add(health_ns)
            }
            _ => NEVER,
        }
    }

    fn idle_due_ns(&self) -> u64 {
        let oldest = self.idle.front().filter(|_| self.open() > self.limits.min);
        match (self.limits.idle_ns, oldest) {
            (Some(idle_ns), Some(slot)) => slot.meta.idle_since_ns.saturating_add(idle_ns),
            _ => NEVER,
        }
    }

    /// When a waiter's time is up, or a connect may be tried again.
    fn next_wait_due_ns(&self) -> u64 {
        let deadlines = self.queue.iter().map(|(_, waiter)| waiter.deadline_ns);
        let deadline_ns = deadlines.min().unwrap_or(NEVER);
        let retries = self.failures > 0 && self.opening == 0 && self.connects_wanted() > 0;
        match retries {
            true => deadline_ns.min(self.retry_ns),
            false => deadline_ns,
        }
    }

    fn next_due_ns(&self) -> u64 {
        let expiry_ns = self.idle.iter().map(|slot| slot.meta.expires_ns).min();
        let refills = self.refill_ns > self.now_ns && !self.is(CLOSED);
        let refills = refills && self.open() + self.opening < self.limits.min;
        let refill_ns = if refills { self.refill_ns } else { NEVER };
        let report_ns = self
            .limits
            .lent_warn_ns
            .map_or(NEVER, |limit_ns| self.lent.next_report_ns(limit_ns));
        self.next_wait_due_ns()
            .min(self.idle_due_ns())
            .min(expiry_ns.unwrap_or(NEVER))
            .min(self.check_due_ns())
            .min(report_ns)
            .min(refill_ns)
    }

    pub(crate) fn stats(&self, waits: WaitHistogram) -> Stats {
        let counters = &self.counters;
        Stats {
            max_connections: self.limits.max,
            in_use: self.lent.count(),
            idle: self.idle.len(),
            opening: self.opening,
            checking: self.checking,
            closing: self.closing,
            waiting: self.queue.len(),
            checkouts: counters.checkouts,
            reused: counters.checkouts - counters.first_uses,
            waits,
            timeouts: counters.timeouts,
            cancelled: counters.cancelled,
            overloaded: counters.overloaded,
            opened: counters.opened,
            connect_failures: counters.connect_failures,
            checks_passed: counters.checks_passed,
            closes: counters.closes,
            detached: counters.detached,
            lent_long: counters.lent_long,
        }
    }
}
