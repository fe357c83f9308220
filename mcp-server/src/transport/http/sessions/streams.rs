//! Event streams: the one that a client keeps open, and those that it comes back to.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mcp_streaming::{
    EventId, OpenStreamError, ResumeError, Rx,
    sse::{CONTENT_TYPE, SseBody, SseConfig},
};
use rmcp::ServerHandler;

use super::{Open, Sessions, headers::refuse};
use crate::transport::http::body;

const LAST_EVENT_ID: &str = "last-event-id";
/// What a client is told that comes back for events which nobody has any more.
const LOST: &str = "event: gap\ndata: {}\n\n";

impl<H: ServerHandler> Sessions<H> {
    /// The answer to a GET.
    pub(in crate::transport::http) fn stream(&self, open: &Open, headers: &HeaderMap) -> Response {
        if let Some(refusal) = refuse(headers, &["text/event-stream"]) {
            return refusal;
        }
        if let Some(last) = headers.get(LAST_EVENT_ID) {
            return match resume(open, last) {
                Ok(rx) => events(rx, false),
                Err(error) => {
                    tracing::debug!(%error, "a stream was not resumed");
                    // Refused, a client would ask again and again.
                    event_stream(Body::from(LOST))
                }
            };
        }
        match standing(open) {
            Ok(rx) => events(rx, open.record.is_primed()),
            Err(error) => body::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

fn resume(open: &Open, last: &HeaderValue) -> Result<Rx, ResumeError> {
    let last = last.to_str().ok().and_then(|last| last.parse().ok());
    let last: EventId = last.ok_or(ResumeError::UnknownEvent)?;
    Ok(open.session.resume(&last)?.into_rx())
}

/// A reader for what belongs to no request. While another reads it, a second one is given a stream
/// of its own, on which nothing comes: two clients that take a stream from each other would do so
/// for ever.
fn standing(open: &Open) -> Result<Rx, OpenStreamError> {
    open.record.with_standing(|standing| {
        standing.retain(|tx| tx.end().is_none());
        if let Some(unread) = standing.iter().find(|tx| !tx.stats().has_reader) {
            return Ok(unread.reader());
        }
        let (tx, rx) = open.session.open_stream()?;
        standing.push(tx);
        Ok(rx)
    })
}

/// A stream as a response. `primed`: it begins with an event that carries only an id.
pub(super) fn events(rx: Rx, primed: bool) -> Response {
    let mut config = SseConfig::default();
    config.priming = primed;
    config.retry = config.retry.filter(|_| primed);
    let events = SseBody::new(rx, &config).expect("the defaults make sense");
    event_stream(Body::new(events))
}

pub(super) fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    for (name, value) in [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-cache"),
        // A proxy must not collect events.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
