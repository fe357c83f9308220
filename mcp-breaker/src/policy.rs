//! What admits calls and learns from their results: one trait, so that
//! policies can be exchanged and stacked.

use crate::{Breaker, Permit, Rejected, Verdict};
use std::borrow::Borrow;

/// Admits calls and learns from their results. Implemented by [`Breaker`] and
/// [`Throttle`](crate::Throttle), and by pairs: `(throttle, breaker)` asks the
/// throttle first and tells both. All clones are the same policy.
pub trait Policy: Clone + Send + Sync + 'static {
    /// The right to make one call.
    type Permit: Settle + 'static;

    /// Asks to make a call, and returns at once.
    ///
    /// # Errors
    /// Why the call must not be made now.
    fn try_enter(&self) -> Result<Self::Permit, Rejected>;

    /// Whether asking makes sense at all; a balancer skips what says no.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits until [`is_ready`](Self::is_ready); must not return while it says
    /// no, because whoever waits would then spin. Therefore there is no default:
    ///
    /// ```compile_fail,E0046
    /// # use mcp_breaker::{Policy, Rejected, Settle, Verdict};
    /// # struct Pass;
    /// # impl Settle for Pass {
    /// #     fn settle(self, _: Verdict) {}
    /// #     fn cancel(self) {}
    /// # }
    /// #[derive(Clone)]
    /// struct Never;
    ///
    /// impl Policy for Never {
    /// #   type Permit = Pass;
    /// #   fn try_enter(&self) -> Result<Pass, Rejected> { Err(Rejected::ForcedOpen) }
    ///     fn is_ready(&self) -> bool { false }
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// Implementations hold nothing while they wait.
    fn ready(&self) -> impl Future<Output = ()> + Send;
}

/// A permit of some policy. Dropped unsettled, the call counts as cancelled,
/// unless the drop is part of a panic: then it is up to the permit.
pub trait Settle: Send {
    /// The call ended with this verdict.
    fn settle(self, verdict: Verdict);

    /// The call was given up without a result, for a reason that says nothing
    /// about the dependency.
    fn cancel(self);
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

impl<B: Borrow<Breaker> + Send> Settle for Permit<B> {
    #[inline]
    fn settle(self, verdict: Verdict) {
        Self::settle(self, verdict);
    }

    fn cancel(self) {
        Self::cancel(self);
    }
}

impl<A: Policy, B: Policy> Policy for (A, B) {
    type Permit = (A::Permit, B::Permit);

    fn try_enter(&self) -> Result<Self::Permit, Rejected> {
        let first = self.0.try_enter()?;
        match self.1.try_enter() {
            Ok(second) => Ok((first, second)),
            Err(rejected) => {
                first.cancel();
                Err(rejected)
            }
        }
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

    fn cancel(self) {
        self.0.cancel();
        self.1.cancel();
    }
}
