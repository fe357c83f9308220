//! The fast way to an answer: a request that can be decided in one pass goes straight to its tool,
//! or to bytes that were made at the start. Every other is left to rmcp, which remains the
//! reference: both must give the same answers.

mod request;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;

use self::request::Request;
use rmcp::{ErrorData, model::CallToolResponse};
use tokio::time::Instant;

use super::{
    Envelope, McpHandler, Strict,
    answer::{Answer, failure, of_upstream, passed_on},
    listing::Terms,
    strict::Stamp,
};
use crate::{
    call::{Call, Exchange},
    tools::{DynTool, Reply},
};

/// Answers what it can decide in one pass. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    handler: Strict<McpHandler>,
    stored: Arc<Stored>,
}

/// What is the same for everybody, as JSON.
#[derive(Debug)]
struct Stored {
    tools: ArcSwap<Tools>,
    discover: String,
}

/// The descriptions of all tools, as a JSON array.
#[derive(Debug)]
struct Tools {
    generation: u64,
    json: String,
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
            tools: ArcSwap::from_pointee(Tools::of(inner)),
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
            Request::List => return Some(response(id, &self.list())),
            Request::Discover => return Some(response(id, &self.stored.discover)),
            Request::Call {
                name,
                arguments,
                bypass_cache,
                capabilities,
            } => {
                call.bypass_cache = bypass_cache;
                let registry = self.handler.inner().registry();
                let tool = registry.by_name(&name)?;
                if capabilities.get() != "{}" && !registry.is_local(&name) {
                    call.exchange = Some(Arc::new(Exchange {
                        capabilities: serde_json::from_str(capabilities.get()).ok(),
                        ..Exchange::default()
                    }));
                }
                self.call(tool.as_ref(), &call, arguments).await?
            }
        };
        Some(match result {
            Ok(result) => response(id, &result),
            Err(error) => error_response(id, &error),
        })
    }

    /// The list of tools, whose descriptions are only written anew when they have changed.
    fn list(&self) -> String {
        let inner = self.handler.inner();
        let remote = inner.registry().remote();
        let mut tools = self.stored.tools.load_full();
        if tools.generation != remote.generation {
            tools = Arc::new(Tools::of(inner));
            self.stored.tools.store(tools.clone());
        }
        let mut terms = Terms::of(&remote.freshness);
        terms.meta.stamp(self.handler.server_info());
        format!(
            "{{\"resultType\":\"complete\",\"_meta\":{},\"ttlMs\":{},\"cacheScope\":{},\"tools\":{}}}",
            json(&terms.meta),
            terms.ttl_ms,
            json(&terms.scope),
            tools.json
        )
    }

    async fn call(
        &self,
        tool: &dyn DynTool,
        call: &Call,
        arguments: Option<&RawValue>,
    ) -> Option<Result<String, ErrorData>> {
        let arguments = arguments.map_or("{}", RawValue::get);
        let started = Instant::now();
        let result = tool.call_json(call, arguments).await?;
        let answer = Answer::new(tool, call, started, result);
        let mut meta = Some(answer.meta());
        meta.stamp(self.handler.server_info());
        let meta = meta.unwrap_or_default();
        Some(match answer.result {
            Ok(Reply::Value(value)) => Ok(success(&value, &json(&meta))),
            Ok(Reply::Response(response)) => match passed_on(*response, meta) {
                CallToolResponse::Complete(result) => Ok(json(&result)),
                CallToolResponse::InputRequired(result) => Ok(json(&result)),
                // An upstream's session lets nothing else through.
                _ => Err(ErrorData::internal_error(
                    "a result of an unknown kind",
                    None,
                )),
            },
            Err(error) => match of_upstream(error) {
                Ok(own) => Err(own),
                Err(error) => Ok(json(&failure(&error, meta))),
            },
        })
    }
}

impl Tools {
    fn of(handler: &McpHandler) -> Self {
        let registry = handler.registry();
        let remote = registry.remote();
        let tools = registry.descriptions().chain(remote.descriptions());
        Self {
            generation: remote.generation,
            json: json(&tools.collect::<Vec<_>>()),
        }
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

fn error_response(id: &str, error: &ErrorData) -> Vec<u8> {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{}}}",
        json(error)
    )
    .into_bytes()
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("it has string keys and no state to fail on")
}
