//! A tool whose calls are counted, and the slow ones noted.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use rmcp::model::{JsonObject, Tool as Description};
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{DynTool, Reply, ToolError, json_len};
use crate::{
    call::Call,
    monitoring::{Ended, Outcome, Recorder, Tier, ToolCounter},
    telemetry::{SlowOperation, SlowOperations},
    written::Written,
};

/// Where calls are noted.
#[derive(Clone)]
pub(super) struct Watch {
    slow: Arc<SlowOperations>,
    recorder: Option<Arc<Recorder>>,
}

impl Watch {
    pub(super) fn new(slow: Arc<SlowOperations>, recorder: Option<Arc<Recorder>>) -> Self {
        Self { slow, recorder }
    }

    /// The same tool, watched.
    pub(super) fn over(&self, tool: Arc<dyn DynTool>) -> Arc<dyn DynTool> {
        Arc::new(Watched {
            tool,
            watch: self.clone(),
            counter: OnceLock::new(),
        })
    }
}

/// Any tool, and where its calls are noted.
struct Watched {
    tool: Arc<dyn DynTool>,
    watch: Watch,
    /// Found at the first call: there may be more tools than are told apart, and those that are
    /// called come first.
    counter: OnceLock<Arc<ToolCounter>>,
}

#[async_trait]
impl DynTool for Watched {
    fn description(&self) -> &Description {
        self.tool.description()
    }

    fn tier(&self) -> Tier {
        self.tool.tier()
    }

    async fn call(&self, call: &Call, arguments: JsonObject) -> Result<Reply<Value>, ToolError> {
        // Counted before it is known whether that is needed: the arguments are gone afterwards.
        let request_bytes = members_bytes(&arguments);
        let began = Instant::now();
        let result = self.tool.call(call, arguments).await;
        self.look(call, began, request_bytes, &result, value_bytes);
        result
    }

    async fn call_json(
        &self,
        call: &Call,
        arguments: &str,
    ) -> Option<Result<Reply<Arc<Written>>, ToolError>> {
        let began = Instant::now();
        let result = self.tool.call_json(call, arguments).await?;
        self.look(call, began, arguments.len(), &result, |written| {
            written.value().len()
        });
        Some(result)
    }
}

impl Watched {
    /// Counts a call that has ended, and notes it if it was slow.
    fn look<T>(
        &self,
        call: &Call,
        began: Instant,
        request_bytes: usize,
        result: &Result<Reply<T>, ToolError>,
        bytes: impl FnOnce(&T) -> usize,
    ) {
        let duration = began.elapsed();
        self.count(call, duration, result.as_ref().err());
        if !self.watch.slow.is_slow(duration) {
            return;
        }
        let outcome = result.as_ref().map_or_else(ToolError::code, |_| "ok");
        let name = &self.tool.description().name;
        let mut slow = SlowOperation::ended(name, call.lane, duration, outcome);
        slow.request_bytes = request_bytes;
        slow.response_bytes = match result {
            Ok(Reply::Value(value)) => bytes(value),
            // Written only where it is slow: what it costs does not matter any more.
            Ok(Reply::Response(response)) => json_len(response),
            Err(_) => 0,
        };
        self.watch.slow.note(slow);
    }

    fn count(&self, call: &Call, took: Duration, error: Option<&ToolError>) {
        let Some(recorder) = &self.watch.recorder else {
            return;
        };
        let counter = self.counter.get_or_init(|| {
            let name = &self.tool.description().name;
            recorder.tool(name, self.tool.tier())
        });
        counter.record(Ended {
            lane: call.lane,
            via: call.via,
            took,
            elsewhere: call.notes.elsewhere(),
            outcome: match error {
                None => Outcome::Done,
                Some(error) if error.is_callers() => Outcome::Refused,
                Some(_) => Outcome::Failed,
            },
        });
    }
}

/// About how many bytes of JSON it is: texts are counted as if nothing in them was escaped, and
/// numbers as eight bytes.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => {
            2 + values
                .iter()
                .map(|value| value_bytes(value) + 1)
                .sum::<usize>()
        }
        Value::Object(members) => members_bytes(members),
    }
}

fn members_bytes(members: &JsonObject) -> usize {
    let bytes = |(name, value): (&String, &Value)| name.len() + 4 + value_bytes(value);
    2 + members.iter().map(bytes).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::value_bytes;

    #[test]
    fn sizes_are_about_those_of_the_json() {
        let text = "x".repeat(1_000);
        for value in [
            json!({"content": text, "tags": ["a", "b"], "metadata": {"deep": [true, null, 12_345_678]}}),
            json!({}),
            json!([[text], [text], "12"]),
        ] {
            let exact = value.to_string().len();
            assert!(value_bytes(&value).abs_diff(exact) <= 5, "{value}");
        }
    }
}
