//! `/mcp`: what rmcp leaves open is settled before a request reaches it: size and time of the
//! body, JSON-RPC errors for bad bodies, the number of sessions, calls counted for the drain.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::Full;
use rmcp::{
    ServerHandler,
    model::{ErrorCode, RequestId},
};
use tokio_util::task::TaskTracker;

use super::{
    body::{self, BodyError, Holding},
    sessions::{NoRoom, RmcpResponse, SESSION_ID, Sessions},
};
use crate::{
    admission::{Admission, Overloaded},
    call::{Call, Lane},
    client,
    config::HttpConfig,
    live::Live,
    protocol::{
        Envelope, Front, INVALID_REQUEST, Kind, REFUSED, called_tool, client_name, error_response,
        is_work, overloaded_response,
    },
    tools::Registry,
};

/// How long a client that was refused for lack of room should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The endpoint's state, shared by all requests.
pub(super) struct McpEndpoint<H> {
    sessions: Sessions<H>,
    front: Option<Front>,
    calls: TaskTracker,
    config: Live<HttpConfig>,
    places: Places,
}

/// Which calls wait for a place, and where.
pub(super) struct Places {
    pub(super) admission: Option<Admission>,
    pub(super) registry: Option<Arc<Registry>>,
}

impl Places {
    /// Where a call waits for a place, if it does. One of an upstream takes as long as that takes:
    /// it would keep places from those who ask this server, and its connector has a bound of its own.
    fn of(&self, envelope: &Envelope<'_>) -> Option<&Admission> {
        let admission = self.admission.as_ref()?;
        let is_remote = self.registry.as_ref().is_some_and(|registry| {
            called_tool(envelope).is_some_and(|name| registry.is_remote(&name))
        });
        (!is_remote).then_some(admission)
    }
}

impl<H: ServerHandler + Clone> McpEndpoint<H> {
    pub(super) fn new(
        sessions: Sessions<H>,
        front: Option<Front>,
        config: Live<HttpConfig>,
        places: Places,
        calls: TaskTracker,
    ) -> Self {
        Self {
            sessions,
            front,
            calls,
            config,
            places,
        }
    }

    pub(super) async fn handle(self: Arc<Self>, request: Request) -> Response {
        if let Some(name) = doubled(request.headers()) {
            let message = format!("there is more than one {name} header");
            let error = error_response(None, ErrorCode::HEADER_MISMATCH.0, &message);
            return body::json(StatusCode::BAD_REQUEST, error);
        }
        let lane = match lane_of_path(request.uri().path()) {
            Ok(lane) => lane,
            Err(NoSuchLane) => return body::plain(StatusCode::NOT_FOUND, NO_SUCH_LANE),
        };
        match *request.method() {
            Method::POST => self.post(request, lane).await,
            Method::DELETE => self.delete(request).await,
            _ => self.sessions.handle(request).await.map(Body::new),
        }
    }

    /// `lane`: the one that the path names, if it names one.
    async fn post(&self, request: Request, lane: Option<Lane>) -> Response {
        if !is_json(request.headers()) {
            return body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: application/json",
            );
        }
        if is_encoded(request.headers()) {
            return body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as it is: no Content-Encoding is understood",
            );
        }
        // Held until the answer was handed to the connection, so that a drain waits for it.
        let call = self.calls.token();
        let (mut head, mut raw) = request.into_parts();
        let (bytes_max, timeout) = {
            let config = self.config.load();
            (config.body_bytes_max, config.body_timeout)
        };
        let bytes = match body::read(&head.headers, &mut raw, bytes_max, timeout).await {
            Ok(bytes) => bytes,
            Err(error) => {
                if error == BodyError::TooLarge {
                    body::discard(&head.headers, raw, timeout);
                }
                return unread(error, bytes_max, timeout);
            }
        };
        let envelope = match Envelope::parse(&bytes) {
            Ok(envelope) => envelope,
            Err(error) => return body::json(StatusCode::BAD_REQUEST, error.to_response()),
        };
        if let Kind::Request(id) = &envelope.kind
            && is_work(&envelope.method)
            && let Err(overloaded) = self
                .admit(&mut head, &bytes, lane, self.places.of(&envelope))
                .await
        {
            return refuse_call(&overloaded, id);
        }
        if let Some(answer) = self.fast_answer(&head, &envelope).await {
            let body = Holding::new(Full::new(Bytes::from(answer)), call);
            return body::json(StatusCode::OK, Body::new(body));
        }
        let method = envelope.method.into_owned();
        let id = match envelope.kind {
            Kind::Request(id) => Some(id),
            Kind::Notification | Kind::Response => None,
        };
        let request = Request::from_parts(head, Full::new(bytes.clone()));
        let response = match (method.as_str(), &id) {
            ("initialize", Some(id)) => {
                let lane = lane.unwrap_or_else(|| lane_of_body(&bytes));
                match self.sessions.open(request, &bytes, lane).await {
                    Ok(response) => response,
                    Err(full) => return refuse_session(&full, id),
                }
            }
            // A subscription lives until somebody ends it; a drain does not wait for it.
            ("subscriptions/listen", Some(_)) => {
                drop(call);
                return settled(self.sessions.handle(request).await, id.as_ref());
            }
            _ => self.sessions.handle(request).await,
        };
        settled(response, id.as_ref()).map(|body| Body::new(Holding::new(body, call)))
    }

    /// The answer to a request that the front takes; for every other, nothing has been done.
    async fn fast_answer(&self, head: &Parts, envelope: &Envelope<'_>) -> Option<Vec<u8>> {
        let front = self.front.as_ref()?;
        let lane = head.extensions.get().copied().unwrap_or(Lane::Other);
        let call = Call {
            lane,
            ..Call::local()
        };
        front.answer(&head.headers, envelope, call).await
    }

    /// Waits until there is a place for a call, and puts it into the call's head with the lane, so
    /// that it is free again when the handler has done its work, however long the answer takes to
    /// be sent.
    async fn admit(
        &self,
        head: &mut Parts,
        body: &[u8],
        lane: Option<Lane>,
        admission: Option<&Admission>,
    ) -> Result<(), Overloaded> {
        let session = self.sessions.lane_of_call(&head.headers);
        let lane = lane.or(session).unwrap_or_else(|| lane_of_body(body));
        if let Some(admission) = admission {
            let place = admission.enter(lane).await?;
            head.extensions.insert(Arc::new(place));
        }
        head.extensions.insert(lane);
        Ok(())
    }

    /// rmcp answers 202 whether or not there was a session; clients take that for a failure.
    async fn delete(&self, request: Request) -> Response {
        let headers = request.headers().clone();
        if headers.contains_key(SESSION_ID) && !self.sessions.has(&headers).await {
            return body::plain(StatusCode::NOT_FOUND, "there is no such session");
        }
        let mut response = self.sessions.handle(request).await.map(Body::new);
        if response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
            self.sessions.forget(&headers);
        }
        response
    }
}

/// Refuses a body that was not read to its end; the connection can not go on behind it.
fn unread(error: BodyError, bytes_max: usize, timeout: Duration) -> Response {
    let (status, message) = match error {
        BodyError::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request is larger than {bytes_max} bytes; see http.body_bytes_max"),
        ),
        BodyError::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            format!("the request's body took longer than {timeout:?}"),
        ),
        BodyError::Broken => (
            StatusCode::BAD_REQUEST,
            "the request's body broke off".to_owned(),
        ),
    };
    let mut response = body::json(status, error_response(None, REFUSED, &message));
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// A lane that is none.
#[derive(Debug, PartialEq, Eq)]
struct NoSuchLane;

const NO_SUCH_LANE: &str = "there is nothing here: the endpoint is /mcp, or /mcp/cursor, \
    /mcp/vscode and /mcp/other for one kind of client";

/// The lane that the path of the endpoint names, if it names one.
fn lane_of_path(path: &str) -> Result<Option<Lane>, NoSuchLane> {
    match path.strip_prefix("/mcp/") {
        None => Ok(None),
        Some(name) => Lane::named(name).map(Some).ok_or(NoSuchLane),
    }
}

/// The lane of the name that the client gives itself.
fn lane_of_body(body: &[u8]) -> Lane {
    client_name(body).map_or(Lane::Other, |name| client::lane_of(&name))
}

fn refuse_call(overloaded: &Overloaded, id: &RequestId) -> Response {
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

fn refuse_session(full: &NoRoom, id: &RequestId) -> Response {
    let open = full.open;
    tracing::warn!(
        open,
        "refused a session: all of http.sessions_max are in use"
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
fn settled(response: RmcpResponse, id: Option<&RequestId>) -> Response {
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let message = "invalid request: not a message of this protocol";
        let error = error_response(id, INVALID_REQUEST, message);
        return body::json(StatusCode::BAD_REQUEST, error);
    }
    response.map(Body::new)
}

/// Which header that decides on the request's meaning is there twice: whoever reads the other one
/// would understand something else.
fn doubled(headers: &HeaderMap) -> Option<&'static str> {
    ["content-type", "mcp-protocol-version", "mcp-session-id"]
        .into_iter()
        .find(|name| headers.get_all(*name).iter().nth(1).is_some())
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
