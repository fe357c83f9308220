//! The guarded service.

use super::GuardFuture;
use crate::{CallError, Classify, Policy, Rejected, Settle, held::Held};
use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};
use tower_service::Service;

/// What `poll_ready` says while the policy refuses calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// Ready: the call is refused at once, also if the inner service is not
    /// ready. Right at the edge of a server. A caller who already waits for the
    /// inner service when the policy begins to refuse waits until that service
    /// wakes it.
    #[default]
    FailFast,
    /// Pending until the policy would let a call pass, a concurrency limit
    /// included. Right under a balancer, which then picks another endpoint;
    /// without one, callers queue up. A call can still be refused, if another
    /// one was faster.
    Wait,
}

/// A service whose calls a policy admits and learns from.
///
/// An admitted call allocates nothing. Waiting for readiness does, once per
/// wait.
pub struct Guard<S, P, C> {
    inner: S,
    policy: P,
    classify: C,
    readiness: Readiness,
    waiting: Option<Waiting>,
    /// The answer to the next call, if `poll_ready` was ready for nothing else.
    refusal: Option<Rejected>,
}

/// Never locked: the mutex makes the service `Sync`, which servers ask for.
type Waiting = Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl<S, P, C> Guard<S, P, C> {
    pub(super) fn new(inner: S, policy: P, classify: C, readiness: Readiness) -> Self {
        Self {
            inner,
            policy,
            classify,
            readiness,
            waiting: None,
            refusal: None,
        }
    }

    /// The guarded service.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        &self.policy
    }
}

impl<S, P: Policy, C> Guard<S, P, C> {
    fn poll_policy(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.policy.is_ready() {
            let policy = &self.policy;
            let waiting = self.waiting.get_or_insert_with(|| {
                let policy = policy.clone();
                Mutex::new(Box::pin(async move { policy.ready().await }))
            });
            let waiting = waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::task::ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        self.waiting = None;
        Poll::Ready(())
    }

    /// Whether a call would only wait for the inner service to be refused then.
    #[cold]
    fn refuses_now(&mut self) -> bool {
        if self.readiness == Readiness::Wait || self.policy.is_ready() {
            return false;
        }
        match self.policy.try_enter() {
            Ok(permit) => permit.cancel(),
            Err(rejected) => self.refusal = Some(rejected),
        }
        self.refusal.is_some()
    }
}

impl<S, P, C, Request> Service<Request> for Guard<S, P, C>
where
    S: Service<Request>,
    P: Policy,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = GuardFuture<S::Future, P::Permit, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.refusal.is_some() {
            return Poll::Ready(Ok(()));
        }
        if self.readiness == Readiness::Wait {
            std::task::ready!(self.poll_policy(cx));
        }
        let inner = self.inner.poll_ready(cx).map_err(CallError::Inner);
        if inner.is_pending() && self.refuses_now() {
            return Poll::Ready(Ok(()));
        }
        inner
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(rejected) = self.refusal.take() {
            // The inner service was not ready: it must not be called.
            return GuardFuture::rejected(rejected);
        }
        match self.policy.try_enter() {
            Ok(permit) => {
                let mut held = Held::new(permit);
                let inner = held.watch(|| self.inner.call(request));
                GuardFuture::admitted(inner, held, self.classify.clone())
            }
            Err(rejected) => GuardFuture::rejected(rejected),
        }
    }
}

/// A clone does not wait where its original does.
impl<S: Clone, P: Clone, C: Clone> Clone for Guard<S, P, C> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.policy.clone(),
            self.classify.clone(),
            self.readiness,
        )
    }
}

impl<S: fmt::Debug, P: fmt::Debug, C> fmt::Debug for Guard<S, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}
