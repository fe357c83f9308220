//! `/mcp`: what rmcp leaves open is settled before a request reaches it: size and time of the
//! body, JSON-RPC errors for bad bodies, the number of sessions, calls counted for the drain.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{Full, combinators::BoxBody};
use rmcp::{
    ServerHandler,
    model::RequestId,
    transport::streamable_http_server::{
        StreamableHttpService, session::local::LocalSessionManager,
    },
};
use tokio_util::task::TaskTracker;

use super::body::{self, BodyError, Holding};
use crate::{
    config::HttpConfig,
    protocol::{Envelope, INVALID_REQUEST, Kind, REFUSED, error_response},
};

/// The header that names a session.
const HEADER_SESSION_ID: &str = "mcp-session-id";
/// How long a client that was refused for lack of room should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The endpoint's state, one for all requests.
#[derive(Clone)]
pub(super) struct McpEndpoint<H> {
    service: StreamableHttpService<H, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
    sessions_max: usize,
    /// Sessions about to be opened, so that the limit holds for simultaneous ones too.
    opening: Arc<AtomicUsize>,
    calls: TaskTracker,
    body_bytes_max: usize,
    body_timeout: Duration,
}

impl<H: ServerHandler> McpEndpoint<H> {
    pub(super) fn new(
        service: StreamableHttpService<H, LocalSessionManager>,
        sessions: Arc<LocalSessionManager>,
        config: &HttpConfig,
        calls: TaskTracker,
    ) -> Self {
        Self {
            service,
            sessions,
            sessions_max: config.sessions_max,
            opening: Arc::default(),
            calls,
            body_bytes_max: config.body_bytes_max,
            body_timeout: config.body_timeout,
        }
    }

    pub(super) async fn handle(self, request: Request) -> Response {
        if request.method() == Method::DELETE {
            return self.close_session(request).await;
        }
        if request.method() != Method::POST {
            return self.service.handle(request).await.map(Body::new);
        }
        if !is_json(request.headers()) {
            return body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: application/json",
            );
        }
        // Held until the answer was sent, so that a drain waits for it.
        let call = self.calls.token();
        let (head, mut raw) = request.into_parts();
        let (bytes_max, timeout) = (self.body_bytes_max, self.body_timeout);
        let bytes = match body::read(&head.headers, &mut raw, bytes_max, timeout).await {
            Ok(bytes) => bytes,
            Err(error) => {
                if error == BodyError::TooLarge {
                    body::discard(&head.headers, raw, timeout);
                }
                return self.unread(error);
            }
        };
        let (kind, method) = match Envelope::parse(&bytes) {
            Ok(envelope) => (envelope.kind, envelope.method.into_owned()),
            Err(error) => return body::json(StatusCode::BAD_REQUEST, error.to_response()),
        };
        let request = Request::from_parts(head, Full::new(bytes));
        match kind {
            Kind::Request(id) if method == "initialize" => {
                let response = self.open_session(request, &id).await;
                response.map(|body| Body::new(Holding::new(body, call)))
            }
            // A subscription lives until somebody ends it; a drain does not wait for it.
            Kind::Request(id) if method == "subscriptions/listen" => {
                drop(call);
                settled(self.service.handle(request).await, &id)
            }
            Kind::Request(id) => {
                let response = self.service.handle(request).await;
                settled(response, &id).map(|body| Body::new(Holding::new(body, call)))
            }
            Kind::Notification | Kind::Response => {
                self.service.handle(request).await.map(Body::new)
            }
        }
    }

    async fn open_session(self, request: http::Request<Full<Bytes>>, id: &RequestId) -> Response {
        let _opening = Opening::start(&self.opening);
        let opening = self.opening.load(Ordering::Relaxed);
        let open = self.sessions.sessions.read().await.len();
        if open + opening > self.sessions_max {
            tracing::warn!(open, "refused a session: http.sessions_max is reached");
            let message =
                format!("{open} sessions are open and no more are taken: try again later");
            let error = error_response(Some(id), REFUSED, &message);
            let mut response = body::json(StatusCode::SERVICE_UNAVAILABLE, error);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER);
            return response;
        }
        settled(self.service.handle(request).await, id)
    }

    /// rmcp answers 202 to whatever id: clients log that as a failure, and one whose session is
    /// long gone should hear so.
    async fn close_session(self, request: Request) -> Response {
        let id = request.headers().get(HEADER_SESSION_ID);
        let is_open = match id.and_then(|id| id.to_str().ok()) {
            Some(id) => self.sessions.sessions.read().await.contains_key(id),
            None => false,
        };
        let mut response = self.service.handle(request).await.map(Body::new);
        if response.status() == StatusCode::ACCEPTED {
            if !is_open {
                return body::plain(StatusCode::NOT_FOUND, "there is no such session");
            }
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response
    }

    /// Refuses a body that was not read to its end; the connection can not go on behind it.
    fn unread(&self, error: BodyError) -> Response {
        let (status, message) = match error {
            BodyError::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the request is larger than {} bytes; see http.body_bytes_max",
                    self.body_bytes_max
                ),
            ),
            BodyError::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the request's body took longer than {:?}",
                    self.body_timeout
                ),
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
}

/// Counts a session that is being opened, until it is open or refused.
struct Opening<'a>(&'a AtomicUsize);

impl<'a> Opening<'a> {
    fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// rmcp answers a message that it cannot type with 415 and a text. The content type was right and
/// the message well-formed, so it is an invalid request.
fn settled(response: http::Response<BoxBody<Bytes, Infallible>>, id: &RequestId) -> Response {
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let message = "invalid request: not a message of this protocol";
        let error = error_response(Some(id), INVALID_REQUEST, message);
        return body::json(StatusCode::BAD_REQUEST, error);
    }
    response.map(Body::new)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
