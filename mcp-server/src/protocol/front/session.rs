//! Requests of clients from before revision 2026-07-28, in a session that is open: what a request
//! says of itself today was said once, when the session was opened.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{CallParams, Object, Request, is_true, shallow, trace};
use crate::protocol::{Envelope, envelope::present};

impl<'a> Request<'a> {
    /// Reads a request of an open session.
    pub(super) fn read_in_session(envelope: &Envelope<'a>) -> Option<Self> {
        let params = shallow(envelope)?;
        match envelope.method.as_ref() {
            "tools/call" => {
                let call: CallParams<'a, Option<Object<Meta<'a>>>> =
                    serde_json::from_str(params).ok()?;
                let meta = call.meta.as_ref().map(|meta| &meta.0);
                let plain = call.has_object() && meta.is_none_or(Meta::is_plain);
                plain.then_some(Self::Call {
                    name: call.name,
                    arguments: call.arguments,
                    bypass_cache: is_true(meta.and_then(|meta| meta.bypass_cache)),
                    trace: trace(meta.and_then(|meta| meta.traceparent)),
                    client: None,
                    capabilities: None,
                })
            }
            "tools/list" => {
                let only: OnlyMeta<'_> = serde_json::from_str(params).ok()?;
                only.meta
                    .is_none_or(|meta| meta.0.is_plain())
                    .then_some(Self::List)
            }
            "ping" => {
                let Nothing {} = serde_json::from_str(params).ok()?;
                Some(Self::Ping)
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyMeta<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<Object<Meta<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What in a `_meta` would make more of the request than one of its session.
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/protocolVersion"
    )]
    version: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/clientCapabilities"
    )]
    capabilities: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/clientInfo"
    )]
    client: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "mcp-server/bypass-cache")]
    bypass_cache: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<&'a RawValue>,
}

impl Meta<'_> {
    fn is_plain(&self) -> bool {
        self.version.is_none() && self.capabilities.is_none() && self.client.is_none()
    }
}
