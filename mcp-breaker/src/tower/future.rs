//! The future of a guarded call.

use crate::{CallError, Classify, Rejected, Settle, held::Held};
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
    /// Dropping it drops the inner future and cancels the call. A panic of the
    /// inner future or of the classifier is a failure of the dependency; one
    /// of the caller's, which drops this future, is not.
    ///
    /// # Panics
    /// When polled after it has completed.
    pub struct GuardFuture<F, P: Settle, C> {
        #[pin]
        state: State<F, P, C>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, P: Settle, C> {
        Admitted { held: Held<P>, classify: C, #[pin] inner: F },
        Rejected { rejected: Option<Rejected> },
    }
}

impl<F, P: Settle, C> GuardFuture<F, P, C> {
    pub(super) fn admitted(inner: F, held: Held<P>, classify: C) -> Self {
        Self {
            state: State::Admitted {
                held,
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
                held,
                classify,
                inner,
            } => {
                let Poll::Ready(result) = held.watch(|| inner.poll(cx)) else {
                    return Poll::Pending;
                };
                let verdict = held.watch(|| classify.classify(&result));
                held.settle(verdict);
                Poll::Ready(result.map_err(CallError::Inner))
            }
            StateProjection::Rejected { rejected } => {
                let rejected = rejected.take().expect("polled after completion");
                Poll::Ready(Err(rejected.into()))
            }
        }
    }
}

impl<F, P: Settle, C> fmt::Debug for GuardFuture<F, P, C> {
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
