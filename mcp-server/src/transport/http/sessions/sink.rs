//! What outlives a request: a way to its session.

use std::sync::{Arc, Weak};

use mcp_streaming::SendError;
use rmcp::model::{ServerJsonRpcMessage, ServerNotification};

use super::record::Record;

/// A way to tell the client of a session something later. A handler finds it in the extensions of a
/// request's [`http::request::Parts`]; the request's own peer is gone with its answer.
#[derive(Debug, Clone)]
pub struct SessionSink(Weak<Record>);

/// Why a notification was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// The client listens to nothing but answers.
    #[error("the client has no stream open on which it could be told")]
    NoStream,
    /// There is no room.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl SessionSink {
    pub(super) fn new(record: &Arc<Record>) -> Self {
        Self(Arc::downgrade(record))
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0
            .upgrade()
            .is_none_or(|record| record.stop.is_cancelled())
    }

    /// Tells the client, on the stream that it keeps open. A notification that says no more than an
    /// unread one takes its place.
    ///
    /// # Errors
    ///
    /// [`SinkError`]; the client does not get to know then.
    pub fn notify(&self, notification: ServerNotification) -> Result<(), SinkError> {
        let record = self.0.upgrade().ok_or(SinkError::Ended)?;
        let message = ServerJsonRpcMessage::notification(notification);
        let bytes = serde_json::to_string(&message)?;
        let tx = record.standing().ok_or(SinkError::NoStream)?;
        tx.try_send_keyed(bytes.as_str(), bytes.clone())?;
        Ok(())
    }
}
