//! Calls that the front makes: each is tried at once, and goes on as a task if it has to wait.

use std::{
    any::Any,
    collections::HashMap,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use rmcp::model::{ErrorCode, RequestId};
use tokio::task::{AbortHandle, JoinSet};

use super::output::Output;
use crate::protocol::{LineCall, error_response};

/// The calls at work. Dropped, they end.
#[derive(Default)]
pub(super) struct Calls {
    tasks: JoinSet<Ended>,
    by_id: HashMap<RequestId, AbortHandle>,
}

/// A call that was made, or that rmcp must make.
struct Ended {
    id: RequestId,
    left: Option<Bytes>,
}

impl Calls {
    /// Makes `call`, the one of `line` with `id`, and leaves its answer to `output`. Returns the
    /// line if it turns out at once that rmcp must make the call.
    pub(super) async fn make(
        &mut self,
        id: RequestId,
        line: Bytes,
        call: LineCall,
        output: Output,
    ) -> Option<Bytes> {
        let key = id.clone();
        let mut made = Box::pin(async move {
            let answer = match (Caught(Box::pin(call.answer()))).await {
                Ok(answer) => answer,
                Err(panic) => Some(failed(&id, panic.as_ref())),
            };
            let Some(answer) = answer else {
                return Ended {
                    id,
                    left: Some(line),
                };
            };
            // Without an output there is nobody to tell.
            let _ = output.send(Some(&id), answer).await;
            Ended { id, left: None }
        });
        // Most calls need not wait for anything: a task of its own would cost more than the call.
        match poll_fn(|context| Poll::Ready(made.as_mut().poll(context))).await {
            Poll::Ready(ended) => ended.left,
            Poll::Pending => {
                let task = self.tasks.spawn(made);
                self.by_id.insert(key, task);
                None
            }
        }
    }

    /// Ends the call with this id, if there is one; it will not be answered.
    pub(super) fn cancel(&mut self, id: &RequestId) -> bool {
        let task = self.by_id.remove(id);
        task.inspect(AbortHandle::abort).is_some()
    }

    /// The line of the next call that rmcp must make; for ever if there is none. Cancel safe.
    pub(super) async fn left(&mut self) -> Bytes {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            // Otherwise it was cancelled, and is forgotten already.
            if let Ok((task, ended)) = ended {
                // A new call may have the id by now.
                if self.by_id.get(&ended.id).map(AbortHandle::id) == Some(task) {
                    self.by_id.remove(&ended.id);
                }
                if let Some(line) = ended.left {
                    return line;
                }
            }
        }
        std::future::pending().await
    }

    /// Ends all.
    pub(super) fn end(&mut self) {
        self.tasks.abort_all();
    }
}

/// The response to a call that panicked.
fn failed(id: &RequestId, panic: &(dyn Any + Send)) -> Vec<u8> {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(said, "a call panicked");
    let message = "the call failed by a fault of the server";
    error_response(Some(id), ErrorCode::INTERNAL_ERROR.0, message)
}

/// A future whose panic is a result: it must not end those that run beside it.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Nothing of the future is looked at after its panic.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
