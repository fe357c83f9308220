//! Futures that are tried before they become tasks, and whose panics harm nobody else.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// What a call that panicked is answered with.
pub(crate) const FAULT: &str = "the call failed by a fault of the server";

/// Polls a future once. Most calls need not wait for anything, and a task of their own would cost
/// more than the call; one that has to wait is returned.
pub(crate) async fn at_once<F: Future>(mut future: Pin<Box<F>>) -> Result<F::Output, Pin<Box<F>>> {
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(future),
    }
}

/// A future whose panic is a result.
pub(crate) struct Caught<F>(Pin<Box<F>>);

impl<F> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

/// A call has panicked; the log says how.
#[derive(Debug)]
pub(crate) struct Panicked;

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Nothing of the future is looked at after its panic.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => {
                tracing::error!(said = said(panic.as_ref()), "a call panicked");
                Poll::Ready(Err(Panicked))
            }
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
