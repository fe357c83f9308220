//! A tool that changes something, and says so.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::model::{JsonObject, Tool as Description};
use serde_json::Value;

use super::{DynTool, Reply, ToolError};
use crate::{auth::Scope, call::Call, monitoring::Tier, ports::EventSink, written::Written};

/// Tells of every call that has changed something, or may have: before its answer is given, and also
/// when its caller does not wait for the answer.
pub(super) struct Announced {
    tool: Arc<dyn DynTool>,
    events: Arc<dyn EventSink>,
}

impl Announced {
    pub(super) fn new(tool: Arc<dyn DynTool>, events: Arc<dyn EventSink>) -> Self {
        Self { tool, events }
    }
}

#[async_trait]
impl DynTool for Announced {
    fn description(&self) -> &Description {
        self.tool.description()
    }

    fn required_scope(&self) -> Scope {
        self.tool.required_scope()
    }

    fn tier(&self) -> Tier {
        self.tool.tier()
    }

    async fn call(&self, call: &Call, arguments: JsonObject) -> Result<Reply<Value>, ToolError> {
        let mut announcement = Announcement(Some(self));
        let result = self.tool.call(call, arguments).await;
        if result.as_ref().is_err_and(ToolError::changed_nothing) {
            announcement.0 = None;
        }
        result
    }

    async fn call_json(
        &self,
        call: &Call,
        arguments: &str,
    ) -> Option<Result<Reply<Arc<Written>>, ToolError>> {
        let mut announcement = Announcement(Some(self));
        let result = self.tool.call_json(call, arguments).await;
        match &result {
            None => announcement.0 = None,
            Some(Err(error)) if error.changed_nothing() => announcement.0 = None,
            Some(_) => {}
        }
        result
    }
}

/// Made when it is dropped.
struct Announcement<'a>(Option<&'a Announced>);

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let Some(Announced { tool, events }) = self.0 {
            events.state_changed(&tool.description().name);
        }
    }
}
