//! The fast way to an answer: a request that can be decided in one pass goes straight to its tool,
//! or to bytes that were made at the start. Every other is left to rmcp, which remains the
//! reference: both must give the same answers.

mod lines;
mod owned;
mod request;
mod session;
mod whole;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use rmcp::{ErrorData, model::CallToolResponse};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::request::Request;
pub(crate) use self::{
    lines::LineFront,
    owned::{Caller, OwnedCall, Taken},
    whole::WholeCall,
};

use super::{
    Envelope, McpHandler, Strict,
    answer::{Answer, failure, of_upstream, passed_on},
    listing::Terms,
    strict::{SERVER_INFO_KEY, Stamp},
};
use crate::{
    call::{Call, Exchange},
    tools::{DynTool, Reply},
};

/// Answers what it can decide in one pass. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    handler: Arc<Strict<McpHandler>>,
    stored: Arc<Stored>,
}

/// What is the same for everybody, as JSON.
#[derive(Debug)]
struct Stored {
    tools: ArcSwap<Tools>,
    discover: String,
    /// The end of every `_meta`.
    server_info: String,
}

/// Which revisions' form an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// 2026-07-28: a result says whether it is complete.
    Complete,
    /// Those before, which have sessions.
    Session,
}

impl Form {
    /// How a result begins.
    fn begin(self) -> &'static str {
        match self {
            Self::Complete => "{\"resultType\":\"complete\",",
            Self::Session => "{",
        }
    }
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
            server_info: format!("{}:{}", json(SERVER_INFO_KEY), json(handler.server_info())),
        };
        Self {
            handler: Arc::new(handler.clone()),
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
        call: Call,
    ) -> Option<Vec<u8>> {
        let request = Request::read(headers, envelope)?;
        let id = envelope.id?.get();
        let mut call = call;
        call.trace = request::trace_of(headers);
        self.respond(id, request, call, Form::Complete).await
    }

    async fn respond(
        &self,
        id: &str,
        request: Request<'_>,
        mut call: Call,
        form: Form,
    ) -> Option<Vec<u8>> {
        match request {
            Request::Call {
                name,
                arguments,
                bypass_cache,
                trace,
                client: _,
                capabilities,
            } => {
                call.bypass_cache = bypass_cache;
                call.trace = trace.or(call.trace);
                let registry = self.handler.inner().registry();
                let tool = registry.by_name(&name)?;
                if call.scope < tool.required_scope() {
                    return None;
                }
                if let Some(capabilities) = capabilities.map(RawValue::get)
                    && capabilities != "{}"
                    && !registry.is_local(&name)
                {
                    call.exchange = Some(Arc::new(Exchange {
                        capabilities: serde_json::from_str(capabilities).ok(),
                        ..Exchange::default()
                    }));
                }
                let arguments = arguments.map_or("{}", RawValue::get);
                self.call(id, tool.as_ref(), &call, arguments, form).await
            }
            stored => Some(self.stored(id, &stored, form)),
        }
    }

    /// The response to a request that is no call.
    fn stored(&self, id: &str, request: &Request<'_>, form: Form) -> Vec<u8> {
        match request {
            Request::List => self.list(id, form),
            Request::Discover => response(id, &[&self.stored.discover]),
            Request::Ping | Request::Call { .. } => response(id, &["{}"]),
        }
    }

    /// The list of tools, whose descriptions are only written anew when they have changed.
    fn list(&self, id: &str, form: Form) -> Vec<u8> {
        let inner = self.handler.inner();
        let remote = inner.registry().remote();
        let mut tools = self.stored.tools.load_full();
        if tools.generation != remote.generation {
            tools = Arc::new(Tools::of(inner));
            self.stored.tools.store(tools.clone());
        }
        let mut terms = Terms::of(&remote.freshness);
        terms.meta.stamp(self.handler.server_info());
        let terms = format!(
            "{}\"_meta\":{},\"ttlMs\":{},\"cacheScope\":{},\"tools\":",
            form.begin(),
            json(&terms.meta),
            terms.ttl_ms,
            json(&terms.scope)
        );
        response(id, &[&terms, &tools.json, "}"])
    }

    async fn call(
        &self,
        id: &str,
        tool: &dyn DynTool,
        call: &Call,
        arguments: &str,
        form: Form,
    ) -> Option<Vec<u8>> {
        let started = Instant::now();
        let result = tool.call_json(call, arguments).await?;
        let answer = Answer::new(tool, call, started, result);
        let measures = answer.measures();
        Some(match answer.result {
            Ok(Reply::Value(written)) => {
                let meta = json(&measures);
                let meta = meta.strip_suffix('}').expect("an object ends with a brace");
                response(
                    id,
                    &[
                        form.begin(),
                        written.members(),
                        ",\"_meta\":",
                        meta,
                        ",",
                        &self.stored.server_info,
                        "}}",
                    ],
                )
            }
            Ok(Reply::Response(upstream)) => {
                let upstream = passed_on(*upstream, measures.into_meta());
                match self.handler.stamped(upstream) {
                    CallToolResponse::Complete(result) => response(id, &[&json(&result)]),
                    CallToolResponse::InputRequired(result) => response(id, &[&json(&result)]),
                    // An upstream's session lets nothing else through.
                    _ => {
                        let unknown =
                            ErrorData::internal_error("a result of an unknown kind", None);
                        error_response(id, &unknown)
                    }
                }
            }
            Err(error) => match of_upstream(error) {
                Ok(own) => error_response(id, &own),
                Err(error) => {
                    let mut failure = self.handler.stamped(failure(&error, measures.into_meta()));
                    failure.result_type.take_if(|_| form == Form::Session);
                    response(id, &[&json(&failure)])
                }
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
