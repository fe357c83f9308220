//! The outside of a JSON-RPC message: enough to route it or to refuse it, without parsing its
//! contents (JSON-RPC 2.0 §4; MCP forbids `null` and fractional ids).

use std::{borrow::Cow, time::Duration};

use rmcp::{
    ErrorData,
    model::{ErrorCode, RequestId},
};
use serde::{Deserialize, Deserializer};
use serde_json::{json, value::RawValue};

use crate::admission::Overloaded;

/// The error code of bytes that are not JSON (JSON-RPC 2.0 §5.1).
pub const PARSE_ERROR: i32 = -32700;
/// The error code of JSON that is no message (JSON-RPC 2.0 §5.1).
pub const INVALID_REQUEST: i32 = -32600;
/// The error code of parameters that are wrong (JSON-RPC 2.0 §5.1).
pub const INVALID_PARAMS: i32 = -32602;
/// The error code of a message that the transport refuses for its size or for lack of room
/// (JSON-RPC 2.0 §5.1, server errors).
pub const REFUSED: i32 = -32000;

/// What kind of message it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer under this id.
    Request(RequestId),
    /// Wants none.
    Notification,
    /// Answers a request of ours.
    Response,
}

impl Kind {
    /// The id of a request.
    #[must_use]
    pub fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Request(id) => Some(id),
            Self::Notification | Self::Response => None,
        }
    }
}

/// A message that is well-formed from outside.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// What kind of message it is.
    pub kind: Kind,
    /// The method; empty for a response.
    pub method: Cow<'a, str>,
    /// The id as it was sent.
    pub id: Option<&'a RawValue>,
    /// The parameters as they were sent: a JSON object.
    pub params: Option<&'a RawValue>,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not JSON, or not UTF-8.
    #[error("parse error: {reason}")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// JSON, but not a JSON-RPC 2.0 message that MCP allows.
    #[error("invalid request: {reason}")]
    NotAMessage {
        /// What is missing or wrong.
        reason: &'static str,
        /// The message's id, where it could be read.
        id: Option<RequestId>,
    },
}

impl EnvelopeError {
    /// The JSON-RPC error code.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotJson { .. } => PARSE_ERROR,
            Self::NotAMessage { .. } => INVALID_REQUEST,
        }
    }

    /// The JSON-RPC error response.
    #[must_use]
    pub fn to_response(&self) -> Vec<u8> {
        let id = match self {
            Self::NotAMessage { id, .. } => id.as_ref(),
            Self::NotJson { .. } => None,
        };
        error_response(id, self.code(), &self.to_string())
    }
}

/// The JSON-RPC error response to a call for which there is no room.
#[must_use]
pub fn overloaded_response(id: &RequestId, overloaded: &Overloaded) -> Vec<u8> {
    let error = overloaded_error(overloaded);
    json!({"jsonrpc": "2.0", "id": id, "error": error})
        .to_string()
        .into_bytes()
}

/// The JSON-RPC error response to a request of a caller that asks too often, whose id was not read.
#[must_use]
pub fn rate_limited_response(wait: Duration) -> Vec<u8> {
    let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let message = format!("too many requests: try again in {retry_after_ms} ms");
    let data = json!({
        "code": "rate_limited",
        "retryable": true,
        "retry_after_ms": retry_after_ms,
    });
    let error = ErrorData::new(ErrorCode(REFUSED), message, Some(data));
    json!({"jsonrpc": "2.0", "id": null, "error": error})
        .to_string()
        .into_bytes()
}

/// The error of a call for which there is no room, with the time after which to try again.
pub(super) fn overloaded_error(overloaded: &Overloaded) -> ErrorData {
    let retry_after_ms = u64::try_from(overloaded.retry_after.as_millis()).unwrap_or(u64::MAX);
    let data = json!({
        "code": "overloaded",
        "retryable": true,
        "retry_after_ms": retry_after_ms,
    });
    ErrorData::new(ErrorCode(REFUSED), overloaded.to_string(), Some(data))
}

/// A JSON-RPC error response; an unknown id is `null` (JSON-RPC 2.0 §5).
#[must_use]
pub fn error_response(id: Option<&RequestId>, code: i32, message: &str) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
        .to_string()
        .into_bytes()
}

/// The name of the tool that a `tools/call` calls, read without parsing the rest.
#[must_use]
pub fn called_tool<'a>(envelope: &Envelope<'a>) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let params = (envelope.method == "tools/call").then_some(envelope.params)??;
    let params: Params<'a> = serde_json::from_str(params.get()).ok()?;
    Some(params.name)
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Keeps a member that is there, even as `null`.
pub(super) fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    /// Reads the outside of one message.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`], ready to be sent back.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let text = std::str::from_utf8(bytes).map_err(|error| EnvelopeError::NotJson {
            reason: format!("not UTF-8: {error}"),
        })?;
        let refuse = |reason| Err(EnvelopeError::NotAMessage { reason, id: None });
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') => {}
            Some(b'[') => {
                well_formed(text)?;
                return refuse("batches are not part of this protocol: send one message at a time");
            }
            _ => {
                well_formed(text)?;
                return refuse("a message is a JSON object");
            }
        }
        let members: Members<'a> = match serde_json::from_str(text) {
            Ok(members) => members,
            Err(error) if error.is_data() => {
                return refuse("a member of the message is there twice");
            }
            Err(error) => {
                return Err(EnvelopeError::NotJson {
                    reason: error.to_string(),
                });
            }
        };
        members.classify()
    }
}

impl<'a> Members<'a> {
    fn classify(&self) -> Result<Envelope<'a>, EnvelopeError> {
        let id = self
            .id
            .map(|id| serde_json::from_str::<RequestId>(id.get()));
        let known_id = id.as_ref().and_then(|id| id.as_ref().ok()).cloned();
        let refuse = |reason| {
            Err(EnvelopeError::NotAMessage {
                reason,
                id: known_id.clone(),
            })
        };
        if self.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
            return refuse("`jsonrpc` must be \"2.0\"");
        }
        if matches!(id, Some(Err(_))) && self.error.is_none() {
            return refuse("`id` must be a string or a whole number");
        }
        let Some(method) = self.method else {
            return match (self.result.is_some(), self.error.is_some()) {
                (true, true) => refuse("`result` and `error` exclude each other"),
                (false, false) => refuse("`method` is missing"),
                _ => Ok(Envelope {
                    kind: Kind::Response,
                    method: Cow::Borrowed(""),
                    id: self.id,
                    params: None,
                }),
            };
        };
        let Ok(method) = serde_json::from_str::<Cow<'a, str>>(method.get()) else {
            return refuse("`method` must be a string");
        };
        if self.result.is_some() || self.error.is_some() {
            return refuse("a message has either `method` or `result` or `error`");
        }
        if self
            .params
            .is_some_and(|params| !params.get().starts_with('{'))
        {
            return refuse("`params` must be an object");
        }
        let kind = match known_id {
            Some(id) => Kind::Request(id),
            None => Kind::Notification,
        };
        Ok(Envelope {
            kind,
            method,
            id: self.id,
            params: self.params,
        })
    }
}

fn well_formed(text: &str) -> Result<(), EnvelopeError> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(EnvelopeError::NotJson {
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let check = |text: &str, kind: Kind, method: &str| {
            let envelope = Envelope::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (envelope.kind, envelope.method.as_ref()),
                (kind, method),
                "{text}"
            );
        };
        let id = |id: i64| Kind::Request(RequestId::Number(id));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, id(1), "ping");
        check(
            r#" {"id":-7,"params":{},"method":"a/b","jsonrpc":"2.0"}"#,
            id(-7),
            "a/b",
        );
        check(
            r#"{"jsonrpc":"2.0","id":"x","method":"pi\u006eg"}"#,
            Kind::Request(RequestId::String("x".into())),
            "ping",
        );
        check(r#"{"jsonrpc":"2.0","method":"n"}"#, Kind::Notification, "n");
        check(
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Kind::Response,
            "",
        );
        check(
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            Kind::Response,
            "",
        );
    }

    #[test]
    fn everything_else_is_refused_by_code_and_id() {
        let check = |bytes: &[u8], code: i32, id: Option<i64>| {
            let error = Envelope::parse(bytes).unwrap_err();
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(error.code(), code, "{text}");
            let response: serde_json::Value = serde_json::from_slice(&error.to_response()).unwrap();
            assert_eq!(response["id"], json!(id), "{text}");
        };
        for broken in [
            "",
            "  ",
            "{",
            "nope",
            "[1,",
            "{\"a\":1,}",
            "{} x",
            "\u{feff}{}",
        ] {
            check(broken.as_bytes(), -32700, None);
        }
        check(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", -32700, None);
        for odd in ["[]", "1", "null", "\"x\"", "{}", r#"[{"jsonrpc":"2.0"}]"#] {
            check(odd.as_bytes(), -32600, None);
        }
        for odd_id in ["null", "1.5", "{}", "[]", "true", "1e400"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{odd_id},"method":"m"}}"#);
            check(text.as_bytes(), -32600, None);
        }
        for odd in [
            r#"{"jsonrpc":"1.0","id":5,"method":"m"}"#,
            r#"{"id":5,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":5}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":null}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"m","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":5,"result":{},"error":{}}"#,
        ] {
            check(odd.as_bytes(), -32600, Some(5));
        }
        check(
            br#"{"jsonrpc":"2.0","id":5,"id":6,"method":"m"}"#,
            -32600,
            None,
        );
    }
}
