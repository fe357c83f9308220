//! Events pushed to whoever keeps histograms and logs.

use crate::{Outcome, Rejected, Transition};
use std::time::Duration;

/// Hears what a breaker does, at the moment it does it. Every method is empty
/// by default.
///
/// The methods run on the path of the call and must not block. They run
/// without any lock held, so that two threads may report transitions out of
/// order: [`Transition::generation`] tells the order, and
/// [`Breaker::subscribe`](crate::Breaker::subscribe) keeps it.
///
/// They should not panic. If one does, the panic reaches whoever made the call,
/// and the breaker stays whole: places, slots and the timer are seen to first.
/// Only a probe that was just let in keeps its slot until its deadline.
pub trait Observer: Send + Sync {
    /// The state changed.
    fn on_transition(&self, transition: &Transition) {
        let _ = transition;
    }

    /// A call was settled. `took` is `None` when the configuration needs no
    /// clock per call (no slow-call rate, no adaptive limit).
    fn on_settled(&self, outcome: Outcome, took: Option<Duration>) {
        let _ = (outcome, took);
    }

    /// A call was refused.
    fn on_rejected(&self, rejected: &Rejected) {
        let _ = rejected;
    }
}
