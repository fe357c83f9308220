//! The layer that puts a guard around a service.

use super::{Guard, Readiness};
use crate::{Policy, classify::ByResult};
use tower_layer::Layer;

/// Puts a [`Guard`] around a service. All services that one layer makes share
/// its policy.
#[derive(Debug, Clone)]
pub struct GuardLayer<P, C = ByResult> {
    policy: P,
    classify: C,
    readiness: Readiness,
}

impl<P: Policy> GuardLayer<P> {
    /// Guards by `policy`; every `Err` is a failure.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            classify: ByResult,
            readiness: Readiness::default(),
        }
    }
}

impl<P: Policy, C> GuardLayer<P, C> {
    /// Judges results by `classify`, which sees `Result<Response, Error>`: an
    /// HTTP answer of 503 is an `Ok` that should count as a failure.
    pub fn classify<D>(self, classify: D) -> GuardLayer<P, D> {
        GuardLayer {
            policy: self.policy,
            classify,
            readiness: self.readiness,
        }
    }

    /// What `poll_ready` says while the policy refuses calls.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }
}

impl<S, P: Policy, C: Clone> Layer<S> for GuardLayer<P, C> {
    type Service = Guard<S, P, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard::new(
            inner,
            self.policy.clone(),
            self.classify.clone(),
            self.readiness,
        )
    }
}
