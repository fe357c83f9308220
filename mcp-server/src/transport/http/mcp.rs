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
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    body::{self, BodyError, Holding},
    sessions::{self, Batch, Message, NoRoom, Open, Reply, RmcpResponse, Sessions},
};
use crate::{
    admission::{Admission, Overloaded},
    call::{Call, Lane},
    client,
    config::HttpConfig,
    live::Live,
    protocol::{
        Envelope, Front, INVALID_REQUEST, Kind, REFUSED, client_name, error_response, is_work,
        overloaded_response,
    },
};

/// How long a client that was refused for lack of room should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The endpoint's state, shared by all requests.
pub(super) struct McpEndpoint<H> {
    sessions: Sessions<H>,
    front: Option<Front>,
    calls: TaskTracker,
    config: Live<HttpConfig>,
    admission: Option<Admission>,
}

impl<H: ServerHandler + Clone> McpEndpoint<H> {
    pub(super) fn new(
        sessions: Sessions<H>,
        front: Option<Front>,
        config: Live<HttpConfig>,
        admission: Option<Admission>,
        calls: TaskTracker,
    ) -> Self {
        Self {
            sessions,
            front,
            calls,
            config,
            admission,
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
            Method::GET | Method::DELETE if sessions::is_of_a_session(request.headers(), None) => {
                match self.sessions.find(request.headers()) {
                    Some(open) if request.method() == Method::GET => {
                        self.sessions.stream(&open, request.headers())
                    }
                    Some(open) => self.sessions.close(&open),
                    None => no_such_session(),
                }
            }
            _ => self.sessions.stateless(request).await.map(Body::new),
        }
    }

    /// `lane`: the one that the path names, if it names one.
    async fn post(self: &Arc<Self>, request: Request, lane: Option<Lane>) -> Response {
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
            Err(error) => {
                if let Some(open) = self.batch_of(&head.headers, &bytes) {
                    return self.batch(&open, &head, &bytes, lane, call);
                }
                return body::json(StatusCode::BAD_REQUEST, error.to_response());
            }
        };
        let open = match sessions::is_of_a_session(&head.headers, Some(&envelope)) {
            true => match self.session(&head.headers) {
                Ok(open) => Some(open),
                Err(refusal) => return *refusal,
            },
            false => None,
        };
        if let Kind::Request(id) = &envelope.kind
            && is_work(&envelope.method)
            && let Err(overloaded) = self.admit(&mut head, &bytes, lane, open.as_ref()).await
        {
            return refuse_call(&overloaded, id);
        }
        if let Some(open) = open {
            let message = Message {
                head,
                bytes: bytes.clone(),
            };
            return self.sessions.post(&open, message, &envelope, call).await;
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
                return match self.sessions.open(request, &bytes, lane).await {
                    Ok(response) => response.map(|body| Body::new(Holding::new(body, call))),
                    Err(full) => refuse_session(&full, id),
                };
            }
            // A subscription lives until somebody ends it; a drain does not wait for it.
            ("subscriptions/listen", Some(_)) => {
                drop(call);
                return settled(self.sessions.stateless(request).await, id.as_ref());
            }
            _ => self.sessions.stateless(request).await,
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
        open: Option<&Open>,
    ) -> Result<(), Overloaded> {
        let session = open.inspect(|open| open.count_call()).map(Open::lane);
        let lane = lane.or(session).unwrap_or_else(|| lane_of_body(body));
        if let Some(admission) = &self.admission {
            let place = admission.enter(lane).await?;
            head.extensions.insert(Arc::new(place));
        }
        head.extensions.insert(lane);
        Ok(())
    }

    /// The session of a POST, or why there is none.
    fn session(&self, headers: &HeaderMap) -> Result<Open, Box<Response>> {
        let needs = ["application/json", "text/event-stream"];
        let refusal = sessions::refuse(headers, &needs);
        match (refusal, self.sessions.find(headers)) {
            (Some(refusal), _) => Err(Box::new(refusal)),
            (None, None) => Err(Box::new(no_such_session())),
            (None, Some(open)) => Ok(open),
        }
    }

    /// The session of a POST that may be a batch: only revision 2025-03-26 has them.
    fn batch_of(&self, headers: &HeaderMap, bytes: &[u8]) -> Option<Open> {
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        if !is_array || !sessions::is_of_a_session(headers, None) {
            return None;
        }
        self.session(headers).ok().filter(Open::has_batches)
    }

    fn batch(
        self: &Arc<Self>,
        open: &Open,
        head: &Parts,
        bytes: &Bytes,
        lane: Option<Lane>,
        call: TaskTrackerToken,
    ) -> Response {
        let batch = match Batch::read(bytes) {
            Ok(batch) => batch,
            Err(refusal) => return body::json(StatusCode::BAD_REQUEST, refusal),
        };
        let (response, requests) = self.sessions.batch(open, head, batch, call);
        for (bytes, reply) in requests {
            let (this, open) = (self.clone(), open.clone());
            let head = head.clone();
            let one = async move { this.one_of_batch(&open, head, bytes, reply, lane).await };
            self.calls.spawn(one);
        }
        response
    }

    async fn one_of_batch(
        &self,
        open: &Open,
        mut head: Parts,
        bytes: Bytes,
        reply: Reply,
        lane: Option<Lane>,
    ) {
        let Ok(envelope) = Envelope::parse(&bytes) else {
            return;
        };
        if is_work(&envelope.method)
            && let Err(overloaded) = self.admit(&mut head, &bytes, lane, Some(open)).await
        {
            let refusal = overloaded_response(reply.id(), &overloaded);
            return reply.answer(refusal).await;
        }
        let bytes = bytes.clone();
        let message = Message { head, bytes };
        self.sessions.answer(open, message, &envelope, reply).await;
    }
}

fn no_such_session() -> Response {
    body::plain(StatusCode::NOT_FOUND, "there is no such session")
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
