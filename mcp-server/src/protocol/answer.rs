//! What came of a tool's call, in the forms in which clients are told.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{CallToolResult, ContentBlock, CustomResult, ErrorCode, MetaObject},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    call::Call,
    tools::{DynTool, ToolError},
};

/// How long a local tool may take.
const TARGET: Duration = Duration::from_millis(50);

/// The outcome of a tool's call, as JSON in the form of `T`, and the time it took.
pub(super) struct Answer<T> {
    pub(super) result: Result<T, ToolError>,
    elapsed: Duration,
    cached: bool,
}

impl<T> Answer<T> {
    pub(super) fn new(
        tool: &dyn DynTool,
        call: &Call,
        started: Instant,
        result: Result<T, ToolError>,
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
            performance_target_met: self.elapsed <= TARGET,
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
    pub(super) fn into_tool_result(self) -> CallToolResult {
        let meta = self.meta();
        match self.result {
            Ok(value) => {
                let mut result = CallToolResult::structured(value);
                result.meta = Some(meta);
                result
            }
            Err(error) => failure(&error, meta),
        }
    }

    /// As the result of a method of its own, such as `memory/add`.
    pub(super) fn into_method_result(self) -> Result<CustomResult, ErrorData> {
        let meta = self.meta();
        match self.result {
            Ok(mut value) => {
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
