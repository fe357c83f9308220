//! From the body of a POST to JSON: within its size and time, unpacked, and in the form that all
//! behind this reads.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header, request::Parts};

use super::{
    body::{self, BodyError, Incoming},
    coding::{Coding, Unpacker},
    msgpack::{self, Form},
    stats::{Counters, Event},
};
use crate::{
    config::HttpConfig,
    live::Live,
    protocol::{PARSE_ERROR, REFUSED, error_response, transcode::TranscodeError},
};

/// Reads bodies.
#[derive(Debug)]
pub(super) struct Intake {
    config: Live<HttpConfig>,
    unpacker: Unpacker,
    counters: Counters,
}

impl Intake {
    pub(super) fn new(config: Live<HttpConfig>, counters: Counters) -> Self {
        Self {
            config,
            unpacker: Unpacker::default(),
            counters,
        }
    }

    /// The head and the body of a POST, as JSON that was not looked at.
    ///
    /// # Errors
    ///
    /// The refusal of a body that cannot be read.
    pub(super) async fn read<B: Incoming>(
        &self,
        request: Request<B>,
    ) -> Result<(Parts, Bytes), Response> {
        let Some(form) = Form::of_body(request.headers()) else {
            return Err(body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: application/json, or application/msgpack",
            ));
        };
        let Ok(coding) = Coding::of_body(request.headers()) else {
            let mut refusal = body::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as it is, or packed once as zstd, br, gzip or deflate",
            );
            // RFC 9110 §15.5.16.
            let known = HeaderValue::from_static("zstd, br, gzip, deflate");
            refusal.headers_mut().insert(header::ACCEPT_ENCODING, known);
            return Err(refusal);
        };
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
                return Err(self.unread(error, bytes_max, timeout));
            }
        };
        let bytes = match coding {
            None => bytes,
            Some(coding) => {
                self.counters.count(Event::BodyUnpacked);
                match self.unpacker.unpack(bytes, coding, bytes_max).await {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(self.unread(error.into(), bytes_max, timeout)),
                }
            }
        };
        let bytes = match form {
            Form::Json => bytes,
            Form::Msgpack => match msgpack::read(&mut head.headers, &bytes, depth_max, bytes_max) {
                Ok(json) => json,
                Err(TranscodeError::TooLarge { .. }) => {
                    return Err(self.unread(BodyError::TooLarge, bytes_max, timeout));
                }
                Err(error) => {
                    let error = error_response(None, PARSE_ERROR, &error.to_string());
                    return Err(body::json(StatusCode::BAD_REQUEST, error));
                }
            },
        };
        Ok((head, bytes))
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
}
