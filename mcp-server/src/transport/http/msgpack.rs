//! MessagePack in the place of JSON, by content negotiation: an extension of this server. The same
//! messages in another form, so that all behind this sees JSON only.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};

use super::body::Holding;
use crate::protocol::transcode::{self, TranscodeError};

/// The registered name, and those from before it was.
const NAMES: [&str; 3] = [
    "application/msgpack",
    "application/x-msgpack",
    "application/vnd.msgpack",
];
/// What an answer is asked for as instead, so that the endpoint gives one.
const ACCEPT_JSON: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Msgpack,
}

impl Form {
    /// What the request says that its body is; `None` for what is neither.
    pub(super) fn of_body(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next()?.trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Some(Self::Json);
        }
        is_msgpack(essence).then_some(Self::Msgpack)
    }
}

fn is_msgpack(essence: &str) -> bool {
    NAMES.iter().any(|name| essence.eq_ignore_ascii_case(name))
}

/// Whether the answer is wanted as MessagePack. If so, the headers ask for JSON from then on.
pub(super) fn take_wish(headers: &mut HeaderMap) -> bool {
    let wanted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|essence| is_msgpack(essence.trim()));
    if wanted {
        headers.insert(header::ACCEPT, ACCEPT_JSON);
    }
    wanted
}

/// The JSON of a request, of at most `bytes_max` bytes. The headers speak of it from then on.
pub(super) fn read(
    headers: &mut HeaderMap,
    body: &[u8],
    depth_max: usize,
    bytes_max: usize,
) -> Result<Bytes, TranscodeError> {
    let json = transcode::msgpack_to_json(body, depth_max, bytes_max)?;
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.remove(header::CONTENT_LENGTH);
    Ok(json.into())
}

/// The answer as MessagePack, if it is one of JSON; a stream stays as it is.
pub(super) async fn write(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE) == Some(&JSON);
    if !is_json || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut head, mut body) = response.into_parts();
    let Ok(collected) = (&mut body).collect().await else {
        return Response::from_parts(head, body);
    };
    let json = collected.to_bytes();
    match transcode::json_to_msgpack(&json) {
        Ok(msgpack) => {
            let name = HeaderValue::from_static(NAMES[0]);
            head.headers.insert(header::CONTENT_TYPE, name);
            head.headers.remove(header::CONTENT_LENGTH);
            // What the body has held until it was sent is held on.
            let body = Holding::new(Full::new(Bytes::from(msgpack)), body);
            Response::from_parts(head, Body::new(body))
        }
        Err(error) => {
            tracing::debug!(%error, "an answer stays JSON");
            Response::from_parts(head, Body::from(json))
        }
    }
}
