//! How the endpoint words what it refuses.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rmcp::model::RequestId;

use super::{
    body,
    sessions::{NoRoom, RmcpResponse},
};
use crate::{
    admission::Overloaded,
    protocol::{INVALID_REQUEST, REFUSED, error_response, overloaded_response},
};

/// How long a client that was refused for lack of room should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

pub(super) fn no_such_session() -> Response {
    body::plain(StatusCode::NOT_FOUND, "there is no such session")
}

pub(super) fn too_deep(depth_max: usize, id: Option<&RequestId>) -> Response {
    let message = format!(
        "invalid request: it is nested more than {depth_max} deep; see http.json_depth_max"
    );
    let error = error_response(id, INVALID_REQUEST, &message);
    body::json(StatusCode::BAD_REQUEST, error)
}

pub(super) fn refuse_call(overloaded: &Overloaded, id: &RequestId) -> Response {
    tracing::debug!(lane = %overloaded.lane, waiting = overloaded.waiting, "refused a call");
    let error = overloaded_response(id, overloaded);
    let mut response = body::json(StatusCode::SERVICE_UNAVAILABLE, error);
    // Whole seconds, at least one: the exact time is in the error.
    let seconds = overloaded.retry_after.as_secs_f64().ceil().max(1.0);
    let retry_after =
        HeaderValue::from_str(&seconds.to_string()).expect("a number is visible text");
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, retry_after);
    response
}

pub(super) fn refuse_session(full: &NoRoom, id: &RequestId) -> Response {
    let open = full.open;
    tracing::warn!(
        open,
        "refused a session: all of http.sessions_max or http.sessions_per_client_max are in use"
    );
    let message = format!("{open} sessions are in use and no more are taken: try again later");
    let error = error_response(Some(id), REFUSED, &message);
    let mut response = body::json(StatusCode::SERVICE_UNAVAILABLE, error);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// rmcp answers a message that it cannot type with 415 and a text. The content type was right and
/// the message well-formed, so it is an invalid request.
pub(super) fn settled(response: RmcpResponse, id: Option<&RequestId>) -> Response {
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let message = "invalid request: not a message of this protocol";
        let error = error_response(id, INVALID_REQUEST, message);
        return body::json(StatusCode::BAD_REQUEST, error);
    }
    response.map(Body::new)
}

/// Which header that decides on the request's meaning is there twice: whoever reads the other one
/// would understand something else.
pub(super) fn doubled(headers: &HeaderMap) -> Option<&'static str> {
    ["content-type", "mcp-protocol-version", "mcp-session-id"]
        .into_iter()
        .find(|name| headers.get_all(*name).iter().nth(1).is_some())
}
