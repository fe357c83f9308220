//! The right to make one call.

use crate::{Breaker, Outcome, Verdict, core::Pass};
use std::borrow::Borrow;

/// The right to make one call. Settle it with what the call returned.
///
/// Dropped unsettled it counts as cancelled: a probe's slot and a place under
/// the concurrency limit return, and no window sees it. Dropped by a panic it
/// counts as a failure. A timeout around a guarded call therefore counts only
/// if it is inside the guard, or if the permit is told.
///
/// `B` is `&Breaker` or `Breaker`, by the way it was acquired.
#[derive(Debug)]
#[must_use = "dropping a permit at once cancels the call"]
pub struct Permit<B: Borrow<Breaker>> {
    breaker: B,
    pass: Pass,
    started_ns: u64,
    settled: bool,
}

impl<B: Borrow<Breaker>> Permit<B> {
    #[inline]
    pub(crate) fn new(breaker: B, pass: Pass, started_ns: u64) -> Self {
        Self { breaker, pass, started_ns, settled: false }
    }

    /// The dependency did its work.
    #[inline]
    pub fn success(self) {
        self.settle(Verdict::SUCCESS);
    }

    /// The dependency failed.
    #[inline]
    pub fn failure(self) {
        self.settle(Verdict::FAILURE);
    }

    /// The call ended with this verdict. A verdict on an earlier life of the
    /// breaker, or on a probe whose deadline has passed, is counted as stale
    /// and moves nothing.
    #[inline]
    pub fn settle(mut self, verdict: Verdict) {
        self.settled = true;
        self.breaker.borrow().settle(self.pass, self.started_ns, verdict);
    }

    /// Whether the call is a probe of a half-open breaker. Probes should be
    /// cheap and must answer within `half_open.probe_timeout`.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        matches!(self.pass, Pass::Probe(_))
    }
}

impl<B: Borrow<Breaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            drop_unsettled(self.breaker.borrow(), self.pass, self.started_ns);
        }
    }
}

#[cold]
fn drop_unsettled(breaker: &Breaker, pass: Pass, started_ns: u64) {
    if std::thread::panicking() {
        breaker.settle(pass, started_ns, Verdict::new(Outcome::Failure));
    } else {
        breaker.cancel(pass);
    }
}
