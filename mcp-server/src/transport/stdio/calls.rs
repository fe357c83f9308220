//! Calls that the front makes: each is tried at once, and goes on as a task if it has to wait.

use std::collections::HashMap;

use bytes::Bytes;
use rmcp::model::{ErrorCode, RequestId};
use tokio::task::{AbortHandle, JoinSet};

use super::output::Output;
use crate::{
    attempt::{Caught, FAULT, at_once},
    protocol::{OwnedCall, error_response},
};

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
        call: OwnedCall,
        output: Output,
    ) -> Option<Bytes> {
        let key = id.clone();
        let made = Box::pin(async move {
            let answer = match Caught::new(call.answer()).await {
                Ok(answer) => answer,
                Err(_) => Some(error_response(
                    Some(&id),
                    ErrorCode::INTERNAL_ERROR.0,
                    FAULT,
                )),
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
        match at_once(made).await {
            Ok(ended) => ended.left,
            Err(waits) => {
                let task = self.tasks.spawn(waits);
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
