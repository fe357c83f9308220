//! Bodies: requests read within a size and a time, responses that know when they are done.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pin_project_lite::pin_project;

use super::coding::UnpackError;

/// A plain-text response.
pub(super) fn plain(status: StatusCode, message: impl Into<String>) -> Response {
    response(status, "text/plain; charset=utf-8", message.into())
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    response(status, "application/json", body)
}

pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// The body of a request, as a connection brings it or as a router hands it on.
pub(super) trait Incoming:
    HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

impl<B> Incoming for B where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

impl From<UnpackError> for BodyError {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::TooLarge => Self::TooLarge,
            UnpackError::Broken => Self::Broken,
        }
    }
}

/// Reads a body of at most `bytes_max` bytes within `timeout`. One that announces more is refused
/// before its first byte is read.
pub(super) async fn read<B: Incoming>(
    headers: &HeaderMap,
    body: &mut B,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(timeout, Limited::new(body, bytes_max).collect()).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}

/// Takes what a refused client still sends, for `timeout` at most, and drops it. A connection that
/// is closed before is reset, and most clients then never see the refusal (RFC 9112 §9.6).
pub(super) fn discard<B: Incoming>(headers: &HeaderMap, mut body: B, timeout: Duration) {
    // Who asked first sends nothing, and reading would tell it to.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
    tokio::spawn(tokio::time::timeout(timeout, rest));
}

pin_project! {
    /// A body that keeps `held` until the connection has taken all of it, or has dropped it.
    pub(super) struct Holding<B, T> {
        #[pin]
        body: B,
        held: T,
    }
}

impl<B, T> Holding<B, T> {
    pub(super) fn new(body: B, held: T) -> Self {
        Self { body, held }
    }
}

impl<B: HttpBody, T> HttpBody for Holding<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
