//! The fast way to an answer: a request that can be decided in one pass goes straight to its tool,
//! or to bytes that were made at the start. Every other is left to rmcp, which remains the
//! reference: both must give the same answers.

mod lines;
mod owned;
mod request;
mod session;

use std::sync::Arc;

use http::HeaderMap;
use rmcp::model::ServerResult;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::request::Request;
pub(crate) use self::{
    lines::LineFront,
    owned::{Caller, OwnedCall, Taken},
};

use super::{
    Envelope, McpHandler, Strict,
    answer::{Answer, failure},
    strict::SERVER_INFO_KEY,
};
use crate::{call::Call, tools::DynTool};

/// Answers what it can decide in one pass. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    handler: Arc<Strict<McpHandler>>,
    stored: Arc<Stored>,
}

/// What is the same for everybody, as JSON.
#[derive(Debug)]
struct Stored {
    list: String,
    list_in_session: String,
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

impl Front {
    /// A front for the tools of `handler`.
    ///
    /// # Panics
    ///
    /// Never: the descriptions of tools are always JSON.
    #[must_use]
    pub fn new(handler: &Strict<McpHandler>) -> Self {
        let inner = handler.inner();
        let list = handler.stamped(inner.listed());
        let mut list_in_session = ServerResult::ListToolsResult(list.clone());
        list_in_session.strip_result_type_for_legacy_peer();
        let stored = Stored {
            list: json(&list),
            list_in_session: json(&list_in_session),
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
                client: _,
            } => {
                call.bypass_cache = bypass_cache;
                let tool = self.handler.inner().registry().by_name(&name)?;
                let arguments = arguments.map_or("{}", RawValue::get);
                self.call(id, tool.as_ref(), &call, arguments, form).await
            }
            stored => Some(response(id, &[self.stored(&stored, form)])),
        }
    }

    /// The result of a request that is no call.
    fn stored(&self, request: &Request<'_>, form: Form) -> &str {
        match (request, form) {
            (Request::List, Form::Complete) => &self.stored.list,
            (Request::List, Form::Session) => &self.stored.list_in_session,
            (Request::Discover, _) => &self.stored.discover,
            (Request::Ping | Request::Call { .. }, _) => "{}",
        }
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
            Ok(written) => {
                let meta = json(&measures);
                let meta = meta.strip_suffix('}').expect("an object ends with a brace");
                let result_type = match form {
                    Form::Complete => "{\"resultType\":\"complete\",",
                    Form::Session => "{",
                };
                response(
                    id,
                    &[
                        result_type,
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
                let failure = failure(&error, measures.into_meta());
                let mut failure = self.handler.stamped(failure);
                failure.result_type.take_if(|_| form == Form::Session);
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
