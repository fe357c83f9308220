//! What the headers of a session's requests say, and how those are refused that say nonsense.

use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use rmcp::model::ProtocolVersion;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::SESSION_ID;
use crate::{
    protocol::{Envelope, Kind},
    transport::http::body,
};

const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// Whether a message, or a request without one, is of a session: it names one, and is of a revision
/// that has them. Such requests as say of themselves what a session would say stand for themselves.
pub(in crate::transport::http) fn is_of_a_session(
    headers: &HeaderMap,
    message: Option<&Envelope<'_>>,
) -> bool {
    if !headers.contains_key(SESSION_ID) {
        return false;
    }
    let meta = match message {
        Some(message) if message.method == "initialize" => return true,
        Some(message) if matches!(message.kind, Kind::Request(_)) => Meta::of(message.params),
        _ => Meta::default(),
    };
    let header = headers
        .get(PROTOCOL_VERSION)
        .and_then(|value| value.to_str().ok());
    let version = meta.version.as_deref().or(header);
    // Revisions are dates: they compare as text.
    let modern = version.is_some_and(|it| it >= ProtocolVersion::V_2026_07_28.as_str());
    let is_complete = meta.version.is_some() && meta.has_capabilities;
    !modern && !is_complete
}

#[derive(Default)]
struct Meta {
    version: Option<String>,
    has_capabilities: bool,
}

impl Meta {
    fn of(params: Option<&RawValue>) -> Self {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow, default, rename = "_meta")]
            meta: Option<Keys<'a>>,
        }
        #[derive(Deserialize)]
        struct Keys<'a> {
            #[serde(default, rename = "io.modelcontextprotocol/protocolVersion")]
            version: Option<String>,
            #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
            capabilities: Option<&'a RawValue>,
        }
        let params = params.and_then(|raw| serde_json::from_str::<Params<'_>>(raw.get()).ok());
        match params.and_then(|params| params.meta) {
            Some(keys) => Self {
                version: keys.version,
                has_capabilities: keys.capabilities.is_some(),
            },
            None => Self::default(),
        }
    }
}

/// Refuses a request of a session whose answer the client could not read, or of a revision that
/// nobody knows. `needs`: the media types that the answer may have.
pub(in crate::transport::http) fn refuse(headers: &HeaderMap, needs: &[&str]) -> Option<Response> {
    if !needs.iter().all(|wanted| accepts(headers, wanted)) {
        let message = format!("Not Acceptable: Client must accept {}", needs.join(" and "));
        return Some(body::plain(StatusCode::NOT_ACCEPTABLE, message));
    }
    let version = headers.get(PROTOCOL_VERSION)?;
    let known = |version: &str| {
        let mut known = ProtocolVersion::KNOWN_VERSIONS.iter();
        known.any(|known| known.as_str() == version)
    };
    match version.to_str() {
        Ok(version) if known(version) => None,
        _ => {
            let message = format!("Bad Request: Unsupported MCP-Protocol-Version: {version:?}");
            Some(body::plain(StatusCode::BAD_REQUEST, message))
        }
    }
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let essence = range.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(wanted)
    })
}
