//! The fast way to an answer: a request that can be decided in one pass goes straight to its tool,
//! or to bytes that were made at the start. Every other is left to rmcp, which remains the
//! reference: both must give the same answers.

mod request;

use std::sync::Arc;

use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;

use self::request::Request;
use tokio::time::Instant;

use super::{
    Envelope, McpHandler, Strict,
    answer::{Answer, failure},
    strict::Stamp,
};
use crate::{
    call::Call,
    tools::{DynTool, required_scope},
};

/// Answers what it can decide in one pass. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    handler: Strict<McpHandler>,
    stored: Arc<Stored>,
}

/// Results that are the same for everybody, as JSON.
#[derive(Debug)]
struct Stored {
    list: String,
    discover: String,
}

impl Front {
    /// A front for the tools of `handler`.
    ///
    /// # Panics
    ///
    /// Never: the descriptions of tools are always JSON.
    #[must_use]
    pub fn new(handler: &Strict<McpHandler>) -> Self {
        let inner = handler.inner();
        let stored = Stored {
            list: json(&handler.stamped(inner.listed())),
            discover: json(&handler.stamped(inner.discovered())),
        };
        Self {
            handler: handler.clone(),
            stored: Arc::new(stored),
        }
    }

    /// The response to a POST, as JSON for status 200, and the work done for `call`; `None` when rmcp must answer, and nothing
    /// has been done.
    ///
    /// Cancel safe as the tool is: dropping the future drops the call.
    pub async fn answer(
        &self,
        headers: &HeaderMap,
        envelope: &Envelope<'_>,
        mut call: Call,
    ) -> Option<Vec<u8>> {
        let id = envelope.id?.get();
        let result = match Request::read(headers, envelope)? {
            Request::List => return Some(response(id, &self.stored.list)),
            Request::Discover => return Some(response(id, &self.stored.discover)),
            Request::Call {
                name,
                arguments,
                bypass_cache,
            } => {
                call.bypass_cache = bypass_cache;
                let tool = self.handler.inner().registry().by_name(&name)?;
                if call.scope < required_scope(tool.description()) {
                    return None;
                }
                self.call(tool.as_ref(), &call, arguments).await?
            }
        };
        Some(response(id, &result))
    }

    async fn call(
        &self,
        tool: &dyn DynTool,
        call: &Call,
        arguments: Option<&RawValue>,
    ) -> Option<String> {
        let arguments = arguments.map_or("{}", RawValue::get);
        let started = Instant::now();
        let result = tool.call_json(call, arguments).await?;
        let answer = Answer::new(tool, call, started, result);
        let mut meta = Some(answer.meta());
        meta.stamp(self.handler.server_info());
        let meta = meta.unwrap_or_default();
        Some(match answer.result {
            Ok(value) => success(&value, &json(&meta)),
            Err(error) => json(&failure(&error, meta)),
        })
    }
}

/// The result of a call that went well, as [`rmcp::model::CallToolResult::structured`] has it: the
/// value, and the same as a text for clients that read only that.
fn success(value: &str, meta: &str) -> String {
    let text = json(value);
    format!(
        "{{\"resultType\":\"complete\",\"content\":[{{\"type\":\"text\",\"text\":{text}}}],\
         \"structuredContent\":{value},\"isError\":false,\"_meta\":{meta}}}"
    )
}

fn response(id: &str, result: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}").into_bytes()
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("it has string keys and no state to fail on")
}
