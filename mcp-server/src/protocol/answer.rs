//! What came of a tool's call, in the forms in which clients are told.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ContentBlock, CustomResult, ErrorCode, MetaObject,
        ResultType,
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::strict::SERVER_INFO_KEY;
use crate::{
    call::Call,
    tools::{DynTool, Reply, ToolError},
    upstream::UpstreamError,
};

/// The outcome of a tool's call, as JSON in the form of `T`, and the time it took.
pub(super) struct Answer<T> {
    pub(super) result: Result<Reply<T>, ToolError>,
    elapsed: Duration,
    /// What was expected of it.
    target: Duration,
    cached: bool,
}

impl<T> Answer<T> {
    pub(super) fn new(
        tool: &dyn DynTool,
        call: &Call,
        started: Instant,
        result: Result<Reply<T>, ToolError>,
    ) -> Self {
        let elapsed = started.elapsed();
        let (name, lane) = (&tool.description().name, call.lane);
        match &result {
            Ok(_) => tracing::debug!(tool = %name, %lane, ?elapsed, "call"),
            Err(error) => tracing::debug!(tool = %name, %lane, ?elapsed, %error, "call failed"),
        }
        Self {
            result,
            elapsed,
            target: tool.tier().target(),
            cached: call.notes.is_cached(),
        }
    }

    /// What is said beside the result.
    pub(super) fn measures(&self) -> Measures {
        // Whole microseconds: more digits would only be noise.
        let micros = u32::try_from(self.elapsed.as_micros()).unwrap_or(u32::MAX);
        Measures {
            response_time_ms: f64::from(micros) / 1_000.0,
            cached: self.cached,
            // Memories are current or not answered at all.
            stale: false,
            performance_target_met: self.elapsed <= self.target,
        }
    }

    fn meta(&self) -> MetaObject {
        self.measures().into_meta()
    }
}

/// How a call was answered, as the `_meta` of its result says it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Measures {
    response_time_ms: f64,
    cached: bool,
    stale: bool,
    performance_target_met: bool,
}

impl Measures {
    pub(super) fn into_meta(self) -> MetaObject {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => MetaObject(members),
            _ => unreachable!("a struct of numbers and flags is a JSON object"),
        }
    }
}

impl Answer<Value> {
    /// As the result of `tools/call`.
    pub(super) fn into_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        let meta = self.meta();
        match self.result {
            Ok(Reply::Value(value)) => {
                let mut result = CallToolResult::structured(value);
                result.meta = Some(meta);
                Ok(result.into())
            }
            Ok(Reply::Response(response)) => Ok(passed_on(*response, meta)),
            Err(error) => match of_upstream(error) {
                Ok(own) => Err(own),
                Err(error) => Ok(failure(&error, meta).into()),
            },
        }
    }

    /// As the result of a method of its own, such as `memory/add`.
    pub(super) fn into_method_result(self) -> Result<CustomResult, ErrorData> {
        let meta = self.meta();
        match self.result {
            Ok(reply) => {
                // Upstreams have tools only.
                let mut value = reply.into_value().unwrap_or_default();
                if let Value::Object(object) = &mut value {
                    object.insert("_meta".to_owned(), Value::Object(meta.0));
                    object.insert("resultType".to_owned(), json!("complete"));
                }
                Ok(CustomResult::new(value))
            }
            Err(error) => Err(ErrorData::new(
                match error.code() {
                    "internal" | "unavailable" | "overloaded" => ErrorCode::INTERNAL_ERROR,
                    _ => ErrorCode::INVALID_PARAMS,
                },
                error.to_string(),
                Some(error_json(&error)),
            )),
        }
    }
}

/// What an upstream says, as an answer of this server: what is said beside it is added, and this
/// server's name takes the place of the upstream's.
pub(super) fn passed_on(mut response: CallToolResponse, meta: MetaObject) -> CallToolResponse {
    let said = match &mut response {
        CallToolResponse::Complete(result) => {
            // Older revisions do not say it.
            result.result_type = Some(ResultType::COMPLETE);
            &mut result.meta
        }
        CallToolResponse::InputRequired(result) => &mut result.meta,
        _ => return response,
    };
    let said = said.get_or_insert_default();
    said.remove(SERVER_INFO_KEY);
    said.extend(meta);
    response
}

/// The upstream's own error, if it is one.
pub(super) fn of_upstream(error: ToolError) -> Result<ErrorData, ToolError> {
    match error {
        ToolError::Upstream {
            source: UpstreamError::Rpc(error),
            ..
        } => Ok(error),
        other => Err(other),
    }
}

/// A failed call as the result of `tools/call`: a result too, for the model to read.
pub(super) fn failure(error: &ToolError, mut meta: MetaObject) -> CallToolResult {
    meta.insert("error".to_owned(), error_json(error));
    let mut result = CallToolResult::error(vec![ContentBlock::text(error.to_string())]);
    result.meta = Some(meta);
    result
}

fn error_json(error: &ToolError) -> Value {
    json!({"code": error.code(), "retryable": error.is_retryable()})
}
