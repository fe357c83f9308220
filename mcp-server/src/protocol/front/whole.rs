//! A call of revision 2026-07-28 out of its whole message, in one pass: the plain form in which
//! nearly every call comes. What is written in another way is read part by part, elsewhere.

use std::cell::RefCell;

use http::HeaderMap;
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Form, Front,
    request::{
        BRACKETS_MAX, CallParams, Meta, Object, call_headers_are_right, is_true, trace, trace_of,
    },
};
use crate::{
    auth::Scope,
    call::{Call, Lane},
    client,
    protocol::{client_info::name_of, depth::brackets},
    tools::DynTool,
    trace::Trace,
};

/// So many different `_meta` are known on each thread.
const KNOWN_MAX: usize = 8;
/// A longer one is read each time.
const META_BYTES_MAX: usize = 1_024;

/// A call of a tool of this server that says everything of itself.
pub(crate) struct WholeCall<'a> {
    front: &'a Front,
    tool: &'a dyn DynTool,
    id: &'a str,
    arguments: &'a str,
    /// Of the headers; what `_meta` says goes before it.
    trace: Option<Trace>,
    meta: Facts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: Object<CallParams<'a, &'a RawValue>>,
}

/// What a `_meta` says that matters here.
#[derive(Debug, Clone, Copy)]
struct Facts {
    bypass_cache: bool,
    trace: Option<Trace>,
    /// Of the name that the client gives itself.
    lane: Lane,
}

impl Front {
    /// The call that `message` is, to be answered at once; `None` when it is none, or one that has
    /// to be looked at more closely. Then nothing has been done.
    pub(crate) fn read_call<'a>(
        &'a self,
        headers: &HeaderMap,
        message: &'a [u8],
        depth_max: usize,
    ) -> Option<WholeCall<'a>> {
        let text = str::from_utf8(message).ok()?;
        if !text.starts_with('{') || brackets(message) > depth_max.min(BRACKETS_MAX) {
            return None;
        }
        let Message {
            jsonrpc,
            id,
            method,
            params: Object(params),
        } = serde_json::from_str(text).ok()?;
        let plain = jsonrpc == "2.0"
            && method == "tools/call"
            && is_plain_id(id.get())
            && params.has_object()
            && call_headers_are_right(headers, &params.name);
        if !plain {
            return None;
        }
        let meta = Facts::of(params.meta)?;
        Some(WholeCall {
            front: self,
            tool: self.handler.inner().registry().local(&params.name)?,
            id: id.get(),
            arguments: params.arguments.map_or("{}", RawValue::get),
            trace: trace_of(headers),
            meta,
        })
    }
}

impl WholeCall<'_> {
    /// The id.
    ///
    /// # Panics
    ///
    /// Never: it was seen to be one.
    pub(crate) fn id(&self) -> RequestId {
        serde_json::from_str(self.id).expect("a text or a whole number is an id")
    }

    /// The lane of the name that the client gives itself.
    pub(crate) fn lane(&self) -> Lane {
        self.meta.lane
    }

    /// What its caller must be allowed to do.
    pub(crate) fn required_scope(&self) -> Scope {
        self.tool.required_scope()
    }

    /// Makes the call in the name of `call`. The response, as JSON for status 200; `None` when rmcp
    /// must answer, and nothing has been done.
    ///
    /// Cancel safe as the tool is: dropping the future drops the call.
    pub(crate) async fn answer(&self, mut call: Call) -> Option<Vec<u8>> {
        call.bypass_cache = self.meta.bypass_cache;
        call.trace = self.meta.trace.or(self.trace);
        let (id, arguments) = (self.id, self.arguments);
        self.front
            .call(id, self.tool, &call, arguments, Form::Complete)
            .await
    }
}

/// A text in which nothing is escaped, or a whole number that is not negative.
fn is_plain_id(id: &str) -> bool {
    id.starts_with('"') && !id.contains('\\')
        || id.len() <= 18 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// What clients said of themselves lately: they say the same in every request.
#[derive(Default)]
struct Known {
    said: Vec<(Box<str>, Facts)>,
    oldest: usize,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Known {
    fn facts(&mut self, text: &str) -> Option<Facts> {
        let known = self.said.iter().find(|(said, _)| **said == *text);
        if let Some((_, facts)) = known {
            return Some(*facts);
        }
        let facts = Facts::read(text)?;
        if facts.trace.is_some() {
            // It is of this call alone.
            return Some(facts);
        }
        let entry = (text.into(), facts);
        match self.said.len() < KNOWN_MAX {
            true => self.said.push(entry),
            false => {
                self.said[self.oldest] = entry;
                self.oldest = (self.oldest + 1) % KNOWN_MAX;
            }
        }
        Some(facts)
    }
}

impl Facts {
    /// `None`: it is not complete, or asks for more than an answer.
    fn of(meta: &RawValue) -> Option<Self> {
        let text = meta.get();
        match text.len() <= META_BYTES_MAX {
            true => KNOWN.with_borrow_mut(|known| known.facts(text)),
            false => Self::read(text),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let Object(meta): Object<Meta<'_>> = serde_json::from_str(text).ok()?;
        let name = meta.client.and_then(name_of);
        meta.is_complete().then(|| Self {
            bypass_cache: is_true(meta.bypass_cache),
            trace: trace(meta.traceparent),
            lane: name.map_or(Lane::Other, |name| client::lane_of(&name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_any_parser_reads_are_taken_as_they_are() {
        for id in ["0", "12", "999999999999999999", "\"\"", "\"a-1\"", "\"é\""] {
            assert!(is_plain_id(id), "{id}");
            serde_json::from_str::<RequestId>(id).unwrap();
        }
        // Some are no ids, the others are for the parser that knows.
        for id in [
            r#""\ud800""#,
            r#""a\n""#,
            "-1",
            "1.5",
            "1e3",
            "9999999999999999999",
            "null",
            "[]",
        ] {
            assert!(!is_plain_id(id), "{id}");
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_known_the_second_time() {
        let text = |name: &str, more: &str| {
            format!(
                r#"{{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":{{}},
                "io.modelcontextprotocol/clientInfo":{{"name":"{name}","version":"1"}}{more}}}"#
            )
        };
        let mut known = Known::default();
        for _ in 0..2 {
            for number in 0..=KNOWN_MAX {
                let name = ["cursor", "other"][number % 2];
                let facts = known.facts(&text(&format!("{name}{number}"), "")).unwrap();
                assert_eq!(facts.lane, client::lane_of(&format!("{name}{number}")));
                assert!(!facts.bypass_cache);
            }
        }
        assert_eq!(known.said.len(), KNOWN_MAX);
        let bypass = text("cursor", r#","mcp-server/bypass-cache":true"#);
        assert!(known.facts(&bypass).unwrap().bypass_cache);
        assert!(known.facts(&text("a", r#","progressToken":1"#)).is_none());
        assert!(known.facts("[]").is_none());
    }
}
