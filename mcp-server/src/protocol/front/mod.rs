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
    strict::SERVER_INFO_KEY,
};
use crate::{call::Call, tools::DynTool};

/// Answers what it can decide in one pass. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    handler: Strict<McpHandler>,
    stored: Arc<Stored>,
}

/// What is the same for everybody, as JSON.
#[derive(Debug)]
struct Stored {
    list: String,
    discover: String,
    /// The end of every `_meta`.
    server_info: String,
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
            server_info: format!("{}:{}", json(SERVER_INFO_KEY), json(handler.server_info())),
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
        match Request::read(headers, envelope)? {
            Request::List => Some(response(id, &[&self.stored.list])),
            Request::Discover => Some(response(id, &[&self.stored.discover])),
            Request::Call {
                name,
                arguments,
                bypass_cache,
            } => {
                call.bypass_cache = bypass_cache;
                let tool = self.handler.inner().registry().by_name(&name)?;
                self.call(id, tool.as_ref(), &call, arguments).await
            }
        }
    }

    async fn call(
        &self,
        id: &str,
        tool: &dyn DynTool,
        call: &Call,
        arguments: Option<&RawValue>,
    ) -> Option<Vec<u8>> {
        let arguments = arguments.map_or("{}", RawValue::get);
        let started = Instant::now();
        let result = tool.call_json(call, arguments).await?;
        let answer = Answer::new(tool, call, started, result);
        let measures = answer.measures();
        Some(match answer.result {
            Ok(written) => {
                let meta = json(&measures);
                let meta = meta.strip_suffix('}').expect("an object ends with a brace");
                response(
                    id,
                    &[
                        "{\"resultType\":\"complete\",",
                        written.members(),
                        ",\"_meta\":",
                        meta,
                        ",",
                        &self.stored.server_info,
                        "}}",
                    ],
                )
            }
            Err(error) => {
                let failure = self.handler.stamped(failure(&error, measures.into_meta()));
                response(id, &[&json(&failure)])
            }
        })
    }
}

/// The response with a result that is there in parts.
fn response(id: &str, result: &[&str]) -> Vec<u8> {
    const BEFORE_ID: &str = "{\"jsonrpc\":\"2.0\",\"id\":";
    const BEFORE_RESULT: &str = ",\"result\":";
    let result_len: usize = result.iter().map(|part| part.len()).sum();
    let frame = BEFORE_ID.len() + BEFORE_RESULT.len() + 1;
    let mut response = Vec::with_capacity(frame + id.len() + result_len);
    for part in [BEFORE_ID, id, BEFORE_RESULT] {
        response.extend_from_slice(part.as_bytes());
    }
    for part in result {
        response.extend_from_slice(part.as_bytes());
    }
    response.push(b'}');
    response
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("it has string keys and no state to fail on")
}
