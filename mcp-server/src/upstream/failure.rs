//! What a broken exchange means.

use std::{error::Error, time::Duration};

use rmcp::{
    service::ServiceError,
    transport::streamable_http_client::{HttpStatusError, StreamableHttpError},
};

use super::UpstreamError;

/// The longest text of an upstream that goes into an error, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// Why a request over HTTP has no answer, in the terms of this room.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpFailure(#[from] pub UpstreamError);

/// Why a request was not answered.
pub(super) fn of_request(error: ServiceError) -> UpstreamError {
    match error {
        ServiceError::McpError(error) => UpstreamError::Rpc(error),
        ServiceError::TransportSend(error) => of(error.error.as_ref()),
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
            UpstreamError::Unavailable {
                reason: "the connection was closed".to_owned(),
                unsent: false,
            }
        }
        ServiceError::Timeout { timeout } => UpstreamError::Timeout { limit: timeout },
        other => UpstreamError::Protocol {
            reason: shortened(&other.to_string()),
        },
    }
}

/// What the error of a transport means.
pub(super) fn of(error: &(dyn Error + Send + Sync + 'static)) -> UpstreamError {
    if let Some(HttpFailure(known)) = error.downcast_ref() {
        return known.clone();
    }
    match error.downcast_ref::<StreamableHttpError<HttpFailure>>() {
        Some(StreamableHttpError::Client(HttpFailure(known))) => known.clone(),
        Some(StreamableHttpError::HttpStatus(status)) => of_status(status),
        Some(StreamableHttpError::ResponseBodyTooLarge { max_size }) => UpstreamError::Protocol {
            reason: format!("it is longer than {max_size} bytes (connectors.answer_bytes_max)"),
        },
        Some(
            other @ (StreamableHttpError::UnexpectedServerResponse(_)
            | StreamableHttpError::UnexpectedContentType(_)
            | StreamableHttpError::Deserialize(_)),
        ) => UpstreamError::Protocol {
            reason: shortened(&other.to_string()),
        },
        _ => UpstreamError::Unavailable {
            reason: shortened(&chain(error)),
            unsent: false,
        },
    }
}

/// What an HTTP status that is no success means.
pub(super) fn of_status(error: &HttpStatusError) -> UpstreamError {
    let status = error.status;
    match status {
        401 | 403 => UpstreamError::Unauthorized { status },
        429 | 503 => UpstreamError::Busy {
            status,
            retry_after: error.retry_after.as_deref().and_then(retry_after),
        },
        _ => UpstreamError::Unavailable {
            reason: format!("HTTP {status}"),
            unsent: false,
        },
    }
}

/// A delay in seconds; a date, or in HTTP's terms an HTTP-date, is counted from now (RFC 9110,
/// 10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let left = at.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

/// An upstream's text, in a length that an error bears, without what could mislead a terminal.
pub(super) fn shortened(text: &str) -> String {
    let plain = text.chars().filter(|letter| !letter.is_control());
    let mut shortened: String = plain.take(TEXT_CHARS_MAX).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        shortened.push('…');
    }
    shortened
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_what_it_says() {
        let check = |status, retry_after: Option<&str>| {
            of_status(&HttpStatusError::new(
                status,
                retry_after.map(str::to_owned),
            ))
        };
        assert!(matches!(
            check(401, None),
            UpstreamError::Unauthorized { status: 401 }
        ));
        assert!(matches!(
            check(403, None),
            UpstreamError::Unauthorized { .. }
        ));
        assert!(matches!(
            check(500, None),
            UpstreamError::Unavailable { .. }
        ));
        for (text, expect) in [
            (Some("7"), Some(7)),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0)),
            (Some("soon"), None),
            (None, None),
        ] {
            let UpstreamError::Busy { retry_after, .. } = check(429, text) else {
                panic!("{text:?}");
            };
            assert_eq!(retry_after, expect.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn texts_are_kept_short_and_harmless() {
        assert_eq!(shortened("a\u{1b}[31mb"), "a[31mb");
        assert_eq!(shortened(&"x".repeat(1_000)).chars().count(), 301);
    }
}
