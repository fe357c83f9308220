//! What a request must look like for the front to take it. Everything here says yes or nothing:
//! whatever is not known for certain to be right is left to rmcp, which also words the refusals.

use std::{borrow::Cow, fmt, marker::PhantomData};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use rmcp::model::{ClientCapabilities, Implementation, ProtocolVersion};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::{
    protocol::{Envelope, Kind, depth::brackets, envelope::present},
    trace::{TRACEPARENT, Trace},
};

/// Nested deeper than this, a message might be refused by a parser that reads it as a whole.
pub(super) const BRACKETS_MAX: usize = 64;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The beginning of the headers that repeat arguments.
const PARAM_PREFIX: &str = "mcp-param-";
/// The beginning of a header value that is not the value itself.
const ENCODED_PREFIX: &[u8] = b"=?";

/// A request that the front takes.
#[derive(Debug)]
pub(super) enum Request<'a> {
    /// `tools/call`.
    Call {
        name: Cow<'a, str>,
        /// A JSON object, when it is there.
        arguments: Option<&'a RawValue>,
        /// Whether it asks to be answered past the cache.
        bypass_cache: bool,
        /// Where it belongs in its client's trace, when it says so.
        trace: Option<Trace>,
        /// What the client says of itself in the request, when it does.
        client: Option<&'a RawValue>,
        /// What the client can do, where the request says it: a JSON object.
        capabilities: Option<&'a RawValue>,
    },
    /// `tools/list`, its only page.
    List,
    /// `server/discover`.
    Discover,
    /// `ping`, which revision 2026-07-28 has no more.
    Ping,
}

impl<'a> Request<'a> {
    /// Reads a request of revision 2026-07-28: its headers agree with its body, its `_meta` is
    /// complete, and it asks for nothing that needs a stream or a second round.
    pub(super) fn read(headers: &HeaderMap, envelope: &Envelope<'a>) -> Option<Self> {
        if !common_headers_are_right(headers) || sole(headers, &METHOD)? != envelope.method {
            return None;
        }
        let request = Self::read_complete(envelope)?;
        let named = match &request {
            Self::Call { name, .. } => sole(headers, &NAME)? == name.as_ref(),
            _ => !headers.contains_key(&NAME),
        };
        named.then_some(request)
    }

    /// The same, where there are no headers to agree with.
    pub(super) fn read_complete(envelope: &Envelope<'a>) -> Option<Self> {
        let params = shallow(envelope)?;
        match envelope.method.as_ref() {
            "tools/call" => {
                let call: CallParams<'a, Object<Meta<'a>>> = serde_json::from_str(params).ok()?;
                let complete = call.has_object() && call.meta.0.is_complete();
                complete.then_some(Self::Call {
                    name: call.name,
                    arguments: call.arguments,
                    bypass_cache: is_true(call.meta.0.bypass_cache),
                    trace: trace(call.meta.0.traceparent),
                    client: call.meta.0.client,
                    capabilities: Some(call.meta.0.capabilities),
                })
            }
            "tools/list" => only_meta(params).then_some(Self::List),
            "server/discover" => only_meta(params).then_some(Self::Discover),
            _ => None,
        }
    }
}

/// The parameters of a request, if any parser can read them.
pub(super) fn shallow<'a>(envelope: &Envelope<'a>) -> Option<&'a str> {
    let params = envelope.params.map_or("{}", RawValue::get);
    let taken =
        matches!(envelope.kind, Kind::Request(_)) && brackets(params.as_bytes()) <= BRACKETS_MAX;
    taken.then_some(params)
}

fn only_meta(params: &str) -> bool {
    serde_json::from_str::<OnlyMeta<'_>>(params).is_ok_and(|only| only.meta.0.is_complete())
}

pub(super) fn is_true(member: Option<&RawValue>) -> bool {
    member.is_some_and(|raw| raw.get() == "true")
}

/// What is no trace is ignored.
pub(super) fn trace(member: Option<&RawValue>) -> Option<Trace> {
    let said: Cow<'_, str> = serde_json::from_str(member?.get()).ok()?;
    said.parse().ok()
}

/// Where the headers say that a request belongs in its client's trace, if they do.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// Whether the headers of a call of `tool` agree with it.
pub(super) fn call_headers_are_right(headers: &HeaderMap, tool: &str) -> bool {
    common_headers_are_right(headers)
        && sole(headers, &METHOD) == Some("tools/call")
        && sole(headers, &NAME) == Some(tool)
}

fn common_headers_are_right(headers: &HeaderMap) -> bool {
    headers.get(&PROTOCOL_VERSION).map(HeaderValue::as_bytes)
        == Some(ProtocolVersion::V_2026_07_28.as_str().as_bytes())
        && !headers.contains_key(&SESSION_ID)
        && headers
            .keys()
            .all(|name| !name.as_str().starts_with(PARAM_PREFIX))
        && accepts_both(headers)
}

/// Whether both media types of the transport are accepted, said in the plain way of every client.
fn accepts_both(headers: &HeaderMap) -> bool {
    let Some(value) = sole(headers, &header::ACCEPT) else {
        return false;
    };
    if value == "application/json, text/event-stream" {
        return true;
    }
    let has = |wanted: &str| {
        value
            .split(',')
            .any(|range| range.trim().eq_ignore_ascii_case(wanted))
    };
    has("application/json") && has("text/event-stream")
}

/// The value of a header that is there once, and stands for itself.
fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let plain = values.next().is_none() && !value.as_bytes().starts_with(ENCODED_PREFIX);
    plain.then(|| value.to_str().ok()).flatten()
}

/// Any other parameter, and any that is there twice, is none of the front's business.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "M: Deserialize<'de>, 'de: 'a")
)]
pub(super) struct CallParams<'a, M> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(rename = "_meta")]
    pub(super) meta: M,
}

impl<M> CallParams<'_, M> {
    /// Whether the arguments, when there are any, are an object.
    pub(super) fn has_object(&self) -> bool {
        self.arguments.is_none_or(|raw| raw.get().starts_with('{'))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyMeta<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Object<Meta<'a>>,
}

/// A structure out of an object only: serde would take an array of its members, too.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[derive(Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Cow<'a, str>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: &'a RawValue,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/clientInfo"
    )]
    pub(super) client: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/logLevel"
    )]
    log_level: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "progressToken"
    )]
    progress: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "mcp-server/bypass-cache")]
    pub(super) bypass_cache: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) traceparent: Option<&'a RawValue>,
}

impl Meta<'_> {
    /// Whether it has what the revision asks for, and asks for no messages before the answer.
    pub(super) fn is_complete(&self) -> bool {
        let capabilities = self.capabilities.get();
        self.version == ProtocolVersion::V_2026_07_28.as_str()
            && self.log_level.is_none()
            && self.progress.is_none()
            && (capabilities == "{}"
                || capabilities.starts_with('{')
                    && serde_json::from_str::<ClientCapabilities>(capabilities).is_ok())
            && self
                .client
                .is_none_or(|client| serde_json::from_str::<Implementation>(client.get()).is_ok())
    }
}
