//! The right to make one call.

use crate::{
    Breaker, Rejected, Verdict,
    pass::{Entry, Pass, Role},
};
use std::{borrow::Borrow, mem};

/// The right to make one call. Settle it with what the call returned.
///
/// Dropped unsettled it counts as cancelled: a probe's slot and a place under
/// the concurrency limit return, and no window sees it. A timeout around a
/// guarded call therefore counts only if it is inside the guard, or if the
/// permit is told.
///
/// Dropped while its thread unwinds it counts as a failure: a bare permit
/// cannot know whose panic that is. [`Breaker::call`] and the tower layer do
/// know, and count only panics of what they guard. Whoever holds permits while
/// running code of his own that may panic should [`cancel`](Self::cancel) them.
///
/// `B` is `&Breaker` or `Breaker`, by the way it was acquired.
#[derive(Debug)]
#[must_use = "dropping a permit at once cancels the call"]
pub struct Permit<B: Borrow<Breaker>> {
    breaker: B,
    pass: Pass,
    started_ns: u64,
}

impl<'a> Permit<&'a Breaker> {
    /// Two cases are decided here, where the compiler can inline them: closed
    /// with nothing to time or count, and open with a timer set. All else is
    /// one call away.
    #[inline(always)]
    pub(crate) fn acquire(breaker: &'a Breaker) -> Result<Self, Rejected> {
        let word = breaker.0.core.word();
        let entry = if word.is_closed() && breaker.0.plain {
            Entry {
                pass: Pass::watched(word.generation()),
                detail: 0,
            }
        } else if breaker.refuses_unseen(word) {
            Entry {
                pass: Pass::REFUSED,
                detail: 0,
            }
        } else {
            breaker.admit(word)
        };
        if !entry.pass.lets_through() {
            return Err(breaker.rejected(entry));
        }
        Ok(Self {
            breaker,
            pass: entry.pass,
            started_ns: entry.detail,
        })
    }

    /// The same permit, free to move to another task.
    #[inline]
    pub fn into_owned(mut self) -> Permit<Breaker> {
        let pass = mem::replace(&mut self.pass, Pass::SETTLED);
        Permit {
            breaker: self.breaker.clone(),
            pass,
            started_ns: self.started_ns,
        }
    }
}

impl<B: Borrow<Breaker>> Permit<B> {
    /// The dependency did its work.
    #[inline(always)]
    pub fn success(mut self) {
        let pass = mem::replace(&mut self.pass, Pass::SETTLED);
        self.breaker.borrow().settle_success(pass, self.started_ns);
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
        let pass = mem::replace(&mut self.pass, Pass::SETTLED);
        self.breaker.borrow().settle(pass, self.started_ns, verdict);
    }

    /// The call was given up: as dropping the permit, but cancelled also while
    /// a panic unwinds.
    #[inline]
    pub fn cancel(mut self) {
        let pass = mem::replace(&mut self.pass, Pass::SETTLED);
        self.breaker.borrow().cancel(pass);
    }

    /// Whether the call is a probe of a half-open breaker. Probes should be
    /// cheap and must answer within `half_open.probe_timeout`.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        matches!(self.pass.role(), Role::Probe(_))
    }
}

impl<B: Borrow<Breaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if !self.pass.is_settled() {
            drop_unsettled(self.breaker.borrow(), self.pass, self.started_ns);
        }
    }
}

#[cold]
fn drop_unsettled(breaker: &Breaker, pass: Pass, started_ns: u64) {
    if std::thread::panicking() {
        breaker.settle(pass, started_ns, Verdict::FAILURE);
    } else {
        breaker.cancel(pass);
    }
}
