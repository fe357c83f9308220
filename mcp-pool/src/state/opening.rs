//! When to connect, and what comes of it.

use super::{CLOSED, PAUSED, State, Todo};
use crate::{
    cap::Permit,
    clock::NEVER,
    error::{Cause, Error},
    slot::{Meta, Slot},
};
use std::sync::Arc;

/// How long what `min_connections` asks for waits after there was no room for it.
const REFILL_NS: u64 = 1_000_000_000;

impl<C> State<C> {
    /// As many connects as are wanted and allowed. After a failure one at a
    /// time is tried, and not before the delay is over.
    pub(super) fn start_connects(&mut self, todo: &mut Todo<C>) {
        let wanted = self.connects_wanted();
        if wanted == 0 {
            return;
        }
        let allowed = match self.failures {
            0 => self.limits.max_connecting,
            _ if self.now_ns >= self.retry_ns => 1,
            _ => 0,
        };
        let start = wanted.min(allowed.saturating_sub(self.opening));
        self.opening += start;
        todo.open += start;
        let later = start < wanted && self.failures > 0 && self.opening == 0;
        todo.ring |= later && self.retry_ns < self.wake_ns;
    }

    /// Connects that would be of use now, apart from those at work.
    pub(super) fn connects_wanted(&self) -> usize {
        if self.is(CLOSED) {
            return 0;
        }
        let coming = self.open() + self.opening;
        let waiters = match self.is(PAUSED) {
            true => 0,
            false => self.queue.len(),
        };
        let for_waiters = waiters.saturating_sub(self.promised + self.opening);
        let for_min = match self.refill_ns > self.now_ns {
            true => 0,
            false => self.limits.min.saturating_sub(coming),
        };
        for_waiters
            .max(for_min)
            .min(self.limits.max.saturating_sub(coming + self.closing))
    }

    /// Connects at work that no caller waits for: nobody makes room for them.
    pub(crate) fn surplus_connects(&self) -> usize {
        let waiters = match self.is(PAUSED) {
            true => 0,
            false => self.queue.len(),
        };
        self.opening
            .saturating_sub(waiters.saturating_sub(self.promised))
    }

    /// A connect ends before it began: there is no place for it under the cap of
    /// the set, and nobody waits for it. What `min_connections` asks for is tried
    /// again in a while.
    pub(crate) fn not_placed(&mut self, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.opening -= 1;
        self.refill_ns = self.now_ns.saturating_add(REFILL_NS);
        todo.drained = self.is_drained();
        self.serve(&mut todo);
        todo
    }

    /// A connect waits for a place under the cap of the set.
    pub(crate) fn is_capped(&mut self) {
        self.last_cause = Some(Arc::new(Cause::Capped));
    }

    /// A connect worked.
    pub(crate) fn opened(&mut self, connection: C, permit: Option<Permit>, now_ns: u64) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.opening -= 1;
        self.failures = 0;
        self.last_cause = None;
        self.counters.opened += 1;
        let expires_ns = self.limits.lifetime_ns.map_or(NEVER, |lifetime_ns| {
            let lifetime_ns = self.random.scale(lifetime_ns, 0.9, 1.1);
            self.now_ns.saturating_add(lifetime_ns)
        });
        self.next_id += 1;
        let mut meta = Meta::new(self.next_id, self.lent.add(), self.now_ns, expires_ns);
        meta.confirm(self.now_ns, self.limits.check_after_ns);
        self.place(
            Box::new(Slot {
                connection,
                meta,
                permit,
            }),
            &mut todo,
        );
        self.serve(&mut todo);
        todo
    }

    /// A connect failed. Its place is free for whatever is of use next.
    pub(crate) fn connect_failed(
        &mut self,
        cause: &Arc<Cause>,
        permanent: bool,
        now_ns: u64,
    ) -> Todo<C> {
        let mut todo = self.begin(now_ns);
        self.opening -= 1;
        // Those that began together and fail together are one failure.
        if self.failures == 0 || self.now_ns >= self.retry_ns {
            self.failures = self.failures.saturating_add(1);
            let backoff = self.limits.backoff;
            let delay_ns = backoff.delay_ns(self.failures, &mut self.random);
            self.retry_ns = self.now_ns.saturating_add(delay_ns);
        }
        self.counters.connect_failures += 1;
        self.last_cause = Some(Arc::clone(cause));
        if permanent && self.open() == 0 {
            while let Some(waiter) = self.queue.pop() {
                let cause = Arc::clone(cause);
                todo.fail.push((waiter.place, Error::Connect { cause }));
            }
        }
        todo.drained = self.is_drained();
        self.serve(&mut todo);
        todo
    }
}
