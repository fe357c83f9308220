//! rmcp's streamable HTTP over pooled connections.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use mcp_pool::agent::Body;
use rmcp::{
    ErrorData,
    model::{ClientJsonRpcMessage, ClientRequest, JsonRpcError, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        HttpStatusError, SseError, StreamableHttpClient, StreamableHttpError,
        StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;

use super::{events, sender::Sender};
use crate::upstream::{HttpFailure, UpstreamError};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The longest body of a refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

type Failure = StreamableHttpError<HttpFailure>;

/// Sends the requests of one connector. Clones share its connections.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    sender: Sender,
    /// Of each request; marked as sensitive.
    headers: Arc<HeaderMap>,
    answer_bytes_max: usize,
}

impl HttpClient {
    pub(super) fn new(sender: Sender, headers: HeaderMap, answer_bytes_max: usize) -> Self {
        Self {
            sender,
            headers: Arc::new(headers),
            answer_bytes_max,
        }
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        own: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let sent = self.sender.send(method, uri, own, &self.headers, body);
        sent.await.map_err(client)
    }

    async fn read(&self, response: Response<Body>, bytes_max: usize) -> Result<Bytes, Failure> {
        let too_large = || StreamableHttpError::ResponseBodyTooLarge {
            max_size: bytes_max,
        };
        let announced = response.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
            return Err(too_large());
        }
        match Limited::new(response.into_body(), bytes_max)
            .collect()
            .await
        {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(error) => Err(unavailable(&format!("its answer broke off: {error}"))),
        }
    }

    /// What a status that is no success means: an error of the protocol if there is one inside.
    async fn refused(
        &self,
        response: Response<Body>,
        id: Option<&RequestId>,
        is_probe: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let plain =
            StreamableHttpError::HttpStatus(HttpStatusError::new(status.as_u16(), retry_after));
        let is_final = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
        );
        if is_final {
            return Err(plain);
        }
        let is_json = has_type(response.headers(), "application/json");
        let body = self
            .read(response, REFUSAL_BYTES_MAX)
            .await
            .unwrap_or_default();
        let own = match serde_json::from_slice(&body) {
            Ok(ServerJsonRpcMessage::Error(JsonRpcError { error, .. })) if is_json => Some(error),
            _ => None,
        };
        let error = match own {
            Some(error) => error,
            // A server from before that revision, or what stands before it, says no in its own way.
            None if is_probe && status.is_client_error() => {
                ErrorData::invalid_request(format!("HTTP {status}"), None)
            }
            None => return Err(plain),
        };
        let Some(id) = id else {
            return Err(plain);
        };
        // Whoever could not read the request could not read its id.
        let message = ServerJsonRpcMessage::error(error, Some(id.clone()));
        Ok(StreamableHttpPostResponse::Json(message, None))
    }
}

impl StreamableHttpClient for HttpClient {
    type Error = HttpFailure;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let mut headers: HeaderMap = custom_headers.into_iter().collect();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, BOTH);
        let has_session = session_id.is_some();
        if let Some(id) = session_id {
            headers.insert(SESSION_ID, visible(&id)?);
        }
        let body = serde_json::to_vec(&message)?;
        let response = self.send(Method::POST, &uri, headers, body.into()).await?;
        let status = response.status();
        let (id, is_probe) = match &message {
            ClientJsonRpcMessage::Request(request) => {
                let is_discover = matches!(request.request, ClientRequest::DiscoverRequest(_));
                (Some(&request.id), is_discover && !has_session)
            }
            _ => (None, false),
        };
        if status == StatusCode::NOT_FOUND && has_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        if !status.is_success() {
            return self.refused(response, id, is_probe).await;
        }
        let session = response.headers().get(SESSION_ID);
        let session = session
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        if id.is_none() {
            // Nothing is said about it; what is there is read so that the connection is free again.
            self.read(response, REFUSAL_BYTES_MAX).await?;
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if has_type(response.headers(), "text/event-stream") {
            let events = events::of(response.into_body(), self.answer_bytes_max);
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        if !has_type(response.headers(), "application/json") {
            return Err(StreamableHttpError::UnexpectedContentType(content_type(
                response.headers(),
            )));
        }
        let body = self.read(response, self.answer_bytes_max).await?;
        let message = serde_json::from_slice(&body)
            .map_err(|error| protocol(&format!("no message of the protocol: {error}")))?;
        Ok(StreamableHttpPostResponse::Json(message, session))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let mut headers: HeaderMap = custom_headers.into_iter().collect();
        headers.insert(SESSION_ID, visible(&session_id)?);
        let response = self
            .send(Method::DELETE, &uri, headers, Bytes::new())
            .await?;
        let status = response.status();
        self.read(response, REFUSAL_BYTES_MAX).await?;
        match status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED {
            true => Ok(()),
            false => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let mut headers: HeaderMap = custom_headers.into_iter().collect();
        headers.insert(header::ACCEPT, EVENTS);
        if let Some(id) = session_id {
            headers.insert(SESSION_ID, visible(&id)?);
        }
        if let Some(id) = last_event_id {
            headers.insert(LAST_EVENT_ID, visible(&id)?);
        }
        let response = self.send(Method::GET, &uri, headers, Bytes::new()).await?;
        let status = response.status();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        if !status.is_success() {
            return Err(HttpStatusError::new(status.as_u16(), None).into());
        }
        if !has_type(response.headers(), "text/event-stream") {
            return Err(StreamableHttpError::UnexpectedContentType(content_type(
                response.headers(),
            )));
        }
        Ok(events::of(response.into_body(), self.answer_bytes_max))
    }
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    Some(
        String::from_utf8_lossy(value.as_bytes())
            .chars()
            .take(100)
            .collect(),
    )
}

fn visible(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| protocol("an id of it is no visible text"))
}

fn unavailable(reason: &str) -> Failure {
    client(UpstreamError::Unavailable {
        reason: reason.to_owned(),
        unsent: false,
    })
}

fn protocol(reason: &str) -> Failure {
    client(UpstreamError::Protocol {
        reason: reason.to_owned(),
    })
}

fn client(error: UpstreamError) -> Failure {
    StreamableHttpError::Client(HttpFailure(error))
}
