//! What goes back to the client for one POST: a stream of messages, whole once every request in it
//! is answered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mcp_streaming::{SendError, Tx};
use rmcp::model::{ErrorCode, RequestId};

use crate::protocol::error_response;

/// The answer to one request, into the stream of its POST. Dropped without an answer, the request
/// was cancelled and gets none.
#[derive(Debug)]
pub(in crate::transport::http) struct Reply {
    id: RequestId,
    stream: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tx: Tx,
    /// Requests that are not done.
    left: AtomicUsize,
}

impl Reply {
    /// The replies to the requests `ids`, which share a stream.
    pub(super) fn all(tx: Tx, ids: Vec<RequestId>) -> Vec<Self> {
        let stream = Arc::new(Shared {
            tx,
            left: AtomicUsize::new(ids.len()),
        });
        let reply = |id| Self {
            id,
            stream: stream.clone(),
        };
        ids.into_iter().map(reply).collect()
    }

    pub(in crate::transport::http) fn id(&self) -> &RequestId {
        &self.id
    }

    /// The way for messages that come before the answer.
    pub(super) fn way(&self) -> Tx {
        self.stream.tx.clone()
    }

    /// Sends the answer. Cancel safe: it is sent, or the request was cancelled.
    pub(in crate::transport::http) async fn answer(self, answer: Vec<u8>) {
        let sent = self.stream.tx.send(answer).await;
        let Err(error) = sent else { return };
        tracing::debug!(%error, "an answer did not get into its stream");
        if let SendError::TooLarge { .. } = error {
            let message = format!("the answer does not fit into a stream of this session: {error}");
            let code = ErrorCode::INTERNAL_ERROR.0;
            let refusal = error_response(Some(&self.id), code, &message);
            let _ = self.stream.tx.send(refusal).await;
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.stream.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.stream.tx.finish();
        }
    }
}
