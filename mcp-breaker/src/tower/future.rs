//! The future of a guarded call.

use crate::{CallError, Classify, Rejected, Settle};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The future of a guarded call.
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future and cancels the permit.
    ///
    /// # Panics
    /// When polled after it has completed.
    pub struct GuardFuture<F, P, C> {
        #[pin]
        state: State<F, P, C>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, P, C> {
        Admitted { permit: Option<P>, classify: C, #[pin] inner: F },
        Rejected { rejected: Option<Rejected> },
    }
}

impl<F, P, C> GuardFuture<F, P, C> {
    pub(super) fn admitted(inner: F, permit: P, classify: C) -> Self {
        Self {
            state: State::Admitted {
                permit: Some(permit),
                classify,
                inner,
            },
        }
    }

    pub(super) fn rejected(rejected: Rejected) -> Self {
        Self {
            state: State::Rejected {
                rejected: Some(rejected),
            },
        }
    }
}

impl<F, P, C, T, E> Future for GuardFuture<F, P, C>
where
    F: Future<Output = Result<T, E>>,
    P: Settle,
    C: Classify<T, E>,
{
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Admitted {
                permit,
                classify,
                inner,
            } => {
                let mut guard = FailOnPanic {
                    permit,
                    returned: false,
                };
                let polled = inner.poll(cx);
                guard.returned = true;
                let Poll::Ready(result) = polled else {
                    return Poll::Pending;
                };
                let verdict = classify.classify(&result);
                guard
                    .permit
                    .take()
                    .expect("polled after completion")
                    .settle(verdict);
                Poll::Ready(result.map_err(CallError::Inner))
            }
            StateProjection::Rejected { rejected } => {
                let rejected = rejected.take().expect("polled after completion");
                Poll::Ready(Err(rejected.into()))
            }
        }
    }
}

/// Drops the permit while a panic of the inner future unwinds, which makes the
/// call a failure. Without it the permit would go with the future, which a
/// layer that catches panics drops when nothing unwinds any more.
struct FailOnPanic<'a, P> {
    permit: &'a mut Option<P>,
    returned: bool,
}

impl<P> Drop for FailOnPanic<'_, P> {
    fn drop(&mut self) {
        if !self.returned {
            drop(self.permit.take());
        }
    }
}

impl<F, P, C> fmt::Debug for GuardFuture<F, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Admitted { .. } => "admitted",
            State::Rejected { .. } => "rejected",
        };
        f.debug_struct("GuardFuture")
            .field("state", &state)
            .finish()
    }
}
