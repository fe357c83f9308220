//! Several messages in one POST, as revision 2025-03-26 has them. Their answers share a stream.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{StatusCode, request::Parts};
use rmcp::{ServerHandler, model::RequestId};
use serde_json::value::RawValue;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Open, Sessions,
    message::{no_stream, replies, status},
    reply::Reply,
    streams::events,
};
use crate::{
    protocol::{Envelope, INVALID_REQUEST, Kind, PARSE_ERROR, error_response},
    transport::http::body::Holding,
};

/// The most messages at once.
const LEN_MAX: usize = 100;

/// The messages of a POST.
pub(in crate::transport::http) struct Batch {
    requests: Vec<(RequestId, Bytes)>,
    others: Vec<Bytes>,
    /// The answers to what is no message.
    refusals: Vec<Vec<u8>>,
}

impl Batch {
    /// Reads an array of messages.
    ///
    /// # Errors
    ///
    /// The JSON-RPC error response if it is no array of a sensible length.
    pub(in crate::transport::http) fn read(bytes: &Bytes) -> Result<Self, Vec<u8>> {
        let parts: Vec<&RawValue> = serde_json::from_slice(bytes)
            .map_err(|error| error_response(None, PARSE_ERROR, &format!("parse error: {error}")))?;
        if parts.is_empty() || parts.len() > LEN_MAX {
            let message = format!("a batch has 1 to {LEN_MAX} messages");
            return Err(error_response(None, INVALID_REQUEST, &message));
        }
        let mut batch = Self {
            requests: Vec::new(),
            others: Vec::new(),
            refusals: Vec::new(),
        };
        for part in parts {
            let message = bytes.slice_ref(part.get().as_bytes());
            match Envelope::parse(&message) {
                Err(error) => batch.refusals.push(error.to_response()),
                Ok(envelope) => match envelope.kind {
                    Kind::Request(id) if envelope.method == "initialize" => {
                        let text = "`initialize` cannot be part of a batch";
                        let refusal = error_response(Some(&id), INVALID_REQUEST, text);
                        batch.refusals.push(refusal);
                    }
                    Kind::Request(id) => batch.requests.push((id, message)),
                    Kind::Notification | Kind::Response => batch.others.push(message),
                },
            }
        }
        Ok(batch)
    }
}

impl<H: ServerHandler + Clone> Sessions<H> {
    /// The response to a POST of several messages, and the requests among them, to be answered.
    pub(in crate::transport::http) fn batch(
        &self,
        open: &Open,
        head: &Parts,
        batch: Batch,
        call: TaskTrackerToken,
    ) -> (Response, Vec<(Bytes, Reply)>) {
        for message in batch.others {
            if let Ok(typed) = serde_json::from_slice(&message) {
                self.tell(open, head.clone(), typed);
            }
        }
        if batch.requests.is_empty() && batch.refusals.is_empty() {
            return (status(StatusCode::ACCEPTED), Vec::new());
        }
        let (ids, requests): (Vec<_>, Vec<_>) = batch.requests.into_iter().unzip();
        let (replies, way, rx) = match replies(open, ids) {
            Ok(replies) => replies,
            Err(error) => return (no_stream(&error, None), Vec::new()),
        };
        for refusal in batch.refusals {
            // The stream is new and has room.
            let _ = way.try_send(refusal);
        }
        if replies.is_empty() {
            way.finish();
        }
        let response = events(rx, false).map(|body| Body::new(Holding::new(body, call)));
        (response, requests.into_iter().zip(replies).collect())
    }
}
