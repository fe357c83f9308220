//! What admits calls and learns from their results: one trait, so that
//! policies can be exchanged and stacked.

use crate::{Breaker, Permit, Rejected, Verdict};

/// Admits calls and learns from their results. Implemented by [`Breaker`] and
/// [`Throttle`](crate::Throttle), and by pairs: `(throttle, breaker)` asks the
/// throttle first and tells both. All clones are the same policy.
pub trait Policy: Clone + Send + Sync + 'static {
    /// The right to make one call.
    type Permit: Settle;

    /// Asks to make a call, and returns at once.
    ///
    /// # Errors
    /// Why the call must not be made now.
    fn try_enter(&self) -> Result<Self::Permit, Rejected>;

    /// Whether asking makes sense at all; a balancer skips what says no.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits until [`is_ready`](Self::is_ready).
    ///
    /// # Cancel safety
    /// Implementations hold nothing while they wait.
    fn ready(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A permit of some policy. Dropped unsettled, the call counts as cancelled.
pub trait Settle: Send + 'static {
    /// The call ended with this verdict.
    fn settle(self, verdict: Verdict);
}

impl Policy for Breaker {
    type Permit = Permit<Self>;

    fn try_enter(&self) -> Result<Self::Permit, Rejected> {
        self.try_acquire_owned()
    }

    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }

    async fn ready(&self) {
        Self::ready(self).await;
    }
}

impl Settle for Permit<Breaker> {
    fn settle(self, verdict: Verdict) {
        Self::settle(self, verdict);
    }
}

impl<A: Policy, B: Policy> Policy for (A, B) {
    type Permit = (A::Permit, B::Permit);

    fn try_enter(&self) -> Result<Self::Permit, Rejected> {
        // If the second refuses, the first permit is dropped: cancelled.
        Ok((self.0.try_enter()?, self.1.try_enter()?))
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready() && self.1.is_ready()
    }

    async fn ready(&self) {
        while !self.is_ready() {
            self.0.ready().await;
            self.1.ready().await;
        }
    }
}

impl<A: Settle, B: Settle> Settle for (A, B) {
    fn settle(self, verdict: Verdict) {
        self.0.settle(verdict);
        self.1.settle(verdict);
    }
}
