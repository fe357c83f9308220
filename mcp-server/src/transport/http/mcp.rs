//! `/mcp`: what rmcp leaves open is settled before a request reaches it: size and time of the
//! body, JSON-RPC errors for bad bodies, the number of sessions, calls counted for the drain.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::Full;
use rmcp::{
    ServerHandler,
    model::{ErrorCode, RequestId},
};
use tokio_util::task::TaskTracker;

use super::{
    auth::{Auth, insufficient_scope},
    body::{self, BodyError, Holding},
    coding::{Coding, Unpacker},
    msgpack::{self, Form},
    sessions::{NoRoom, RmcpResponse, SESSION_ID, Sessions},
    stats::{Counters, Event},
};
use crate::{
    admission::{Admission, Overloaded},
    auth::Caller,
    call::{Call, Lane},
    client,
    config::HttpConfig,
    live::Live,
    protocol::{
        Envelope, Front, INVALID_REQUEST, Kind, PARSE_ERROR, REFUSED, client_name, error_response,
        is_deeper_than, is_work, overloaded_response, transcode::TranscodeError,
    },
};

/// The id of no session.
const NO_SESSION: HeaderValue = HeaderValue::from_static("none");
/// How long a client that was refused for lack of room should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The endpoint's state, shared by all requests.
pub(super) struct McpEndpoint<H> {
    sessions: Sessions<H>,
    front: Option<Front>,
    calls: TaskTracker,
    config: Live<HttpConfig>,
    admission: Option<Admission>,
    auth: Option<Arc<Auth>>,
    /// Who shows no token.
    local: Caller,
    unpacker: Unpacker,
    counters: Counters,
}

impl<H: ServerHandler + Clone> McpEndpoint<H> {
    pub(super) fn new(
        sessions: Sessions<H>,
        front: Option<Front>,
        config: Live<HttpConfig>,
        admission: Option<Admission>,
        auth: Option<Arc<Auth>>,
        counters: Counters,
        calls: TaskTracker,
    ) -> Self {
        Self {
            sessions,
            front,
            calls,
            config,
            admission,
            auth,
            local: Caller::local(),
            unpacker: Unpacker::default(),
            counters,
        }
    }

    pub(super) async fn handle(self: Arc<Self>, mut request: Request) -> Response {
        if let Some(name) = doubled(request.headers()) {
            let message = format!("there is more than one {name} header");
            let error = error_response(None, ErrorCode::HEADER_MISMATCH.0, &message);
            return body::json(StatusCode::BAD_REQUEST, error);
        }
        self.hide_foreign_session(&mut request);
        let lane = match lane_of_path(request.uri().path()) {
            Ok(lane) => lane,
            Err(NoSuchLane) => return body::plain(StatusCode::NOT_FOUND, NO_SUCH_LANE),
        };
        let as_msgpack = msgpack::take_wish(request.headers_mut());
        let response = match *request.method() {
            Method::POST => self.post(request, lane).await,
            Method::DELETE => self.delete(request).await,
            _ => self.sessions.handle(request).await.map(Body::new),
        };
        match as_msgpack {
            true => msgpack::write(response).await,
            false => response,
        }
    }

    /// `lane`: the one that the path names, if it names one.
    async fn post(&self, request: Request, lane: Option<Lane>) -> Response {
        let Some(form) = Form::of_body(request.headers()) else {
            return body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: application/json, or application/msgpack",
            );
        };
        let Ok(coding) = Coding::of_body(request.headers()) else {
            let mut refusal = body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as it is, or packed once as zstd, br, gzip or deflate",
            );
            // RFC 9110 §15.5.16.
            let known = HeaderValue::from_static("zstd, br, gzip, deflate");
            refusal.headers_mut().insert(header::ACCEPT_ENCODING, known);
            return refusal;
        };
        // Held until the answer was handed to the connection, so that a drain waits for it.
        let call = self.calls.token();
        let (mut head, mut raw) = request.into_parts();
        let (bytes_max, depth_max, timeout) = {
            let config = self.config.load();
            let depth_max = config.json_depth_max;
            (config.body_bytes_max, depth_max, config.body_timeout)
        };
        let bytes = match body::read(&head.headers, &mut raw, bytes_max, timeout).await {
            Ok(bytes) => bytes,
            Err(error) => {
                if error == BodyError::TooLarge {
                    body::discard(&head.headers, raw, timeout);
                }
                return self.unread(error, bytes_max, timeout);
            }
        };
        let bytes = match coding {
            None => bytes,
            Some(coding) => {
                self.counters.count(Event::BodyUnpacked);
                match self.unpacker.unpack(bytes, coding, bytes_max).await {
                    Ok(bytes) => bytes,
                    Err(error) => return self.unread(error.into(), bytes_max, timeout),
                }
            }
        };
        let bytes = match form {
            Form::Json => bytes,
            Form::Msgpack => match msgpack::read(&mut head.headers, &bytes, depth_max, bytes_max) {
                Ok(json) => json,
                Err(TranscodeError::TooLarge { .. }) => {
                    return self.unread(BodyError::TooLarge, bytes_max, timeout);
                }
                Err(error) => {
                    let error = error_response(None, PARSE_ERROR, &error.to_string());
                    return body::json(StatusCode::BAD_REQUEST, error);
                }
            },
        };
        let envelope = match Envelope::parse(&bytes) {
            Ok(envelope) => envelope,
            Err(error) => return body::json(StatusCode::BAD_REQUEST, error.to_response()),
        };
        if is_deeper_than(&bytes, depth_max) {
            self.counters.count(Event::TooDeep);
            return too_deep(depth_max, id_of(&envelope.kind));
        }
        if let Some(auth) = &self.auth
            && let Some(scope) = auth.missing_scope(&head, &envelope)
        {
            self.counters.count(Event::OutOfScope);
            return insufficient_scope(scope, id_of(&envelope.kind));
        }
        if let Kind::Request(id) = &envelope.kind
            && is_work(&envelope.method)
            && let Err(overloaded) = self.admit(&mut head, &bytes, lane).await
        {
            return refuse_call(&overloaded, id);
        }
        if let Some(answer) = self.fast_answer(&head, &envelope).await {
            let body = Holding::new(Full::new(Bytes::from(answer)), call);
            return body::json(StatusCode::OK, Body::new(body));
        }
        let method = envelope.method.into_owned();
        let id = id_of(&envelope.kind).cloned();
        let request = Request::from_parts(head, Full::new(bytes.clone()));
        let response = match (method.as_str(), &id) {
            ("initialize", Some(id)) => {
                let lane = lane.unwrap_or_else(|| lane_of_body(&bytes));
                let owner = self.caller(request.extensions()).owner.clone();
                match self.sessions.open(request, &bytes, lane, owner).await {
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

    /// Refuses a body that was not read to its end; the connection can not go on behind it.
    fn unread(&self, error: BodyError, bytes_max: usize, timeout: Duration) -> Response {
        let (status, message) = match error {
            BodyError::TooLarge => {
                self.counters.count(Event::BodyTooLarge);
                let message = format!(
                    "the request is larger than {bytes_max} bytes; see http.body_bytes_max"
                );
                (StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            BodyError::TooSlow => {
                self.counters.count(Event::BodyTooSlow);
                let message = format!("the request's body took longer than {timeout:?}");
                (StatusCode::REQUEST_TIMEOUT, message)
            }
            BodyError::Broken => (
                StatusCode::BAD_REQUEST,
                "the request's body broke off, or is not what its Content-Encoding says".to_owned(),
            ),
        };
        let mut response = body::json(status, error_response(None, REFUSED, &message));
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }

    /// The answer to a request that the front takes; for every other, nothing has been done.
    async fn fast_answer(&self, head: &Parts, envelope: &Envelope<'_>) -> Option<Vec<u8>> {
        let front = self.front.as_ref()?;
        let lane = head.extensions.get().copied().unwrap_or(Lane::Other);
        let call = Call {
            lane,
            ..Call::by(self.caller(&head.extensions))
        };
        front.answer(&head.headers, envelope, call).await
    }

    /// In whose name a request is made.
    fn caller<'a>(&'a self, found: &'a Extensions) -> &'a Caller {
        found.get().unwrap_or(&self.local)
    }

    /// A session of another owner is as unknown to the caller as one that never was.
    fn hide_foreign_session(&self, request: &mut Request) {
        let Some(owner) = self.sessions.owner_of(request.headers()) else {
            return;
        };
        if owner != self.caller(request.extensions()).owner {
            tracing::warn!("refused the use of another owner's session");
            request.headers_mut().insert(SESSION_ID, NO_SESSION);
        }
    }

    /// Waits until there is a place for a call, and puts it into the call's head with the lane, so
    /// that it is free again when the handler has done its work, however long the answer takes to
    /// be sent.
    async fn admit(
        &self,
        head: &mut Parts,
        body: &[u8],
        lane: Option<Lane>,
    ) -> Result<(), Overloaded> {
        let session = self.sessions.lane_of_call(&head.headers);
        let lane = lane.or(session).unwrap_or_else(|| lane_of_body(body));
        if let Some(admission) = &self.admission {
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

fn id_of(kind: &Kind) -> Option<&RequestId> {
    match kind {
        Kind::Request(id) => Some(id),
        Kind::Notification | Kind::Response => None,
    }
}

fn too_deep(depth_max: usize, id: Option<&RequestId>) -> Response {
    let message = format!(
        "invalid request: it is nested more than {depth_max} deep; see http.json_depth_max"
    );
    let error = error_response(id, INVALID_REQUEST, &message);
    body::json(StatusCode::BAD_REQUEST, error)
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
