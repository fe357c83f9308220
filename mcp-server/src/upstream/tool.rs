//! A tool of an upstream, as a tool of this server.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::model::{ErrorCode, JsonObject, Tool};
use serde_json::Value;

use super::{ConnectorName, RemoteTool, UpstreamError, naming::Named};
use crate::{
    auth::Scope,
    call::Call,
    monitoring::Tier,
    ports::Upstream,
    tools::{DynTool, Reply, ToolError},
    written::Written,
};

/// Passes calls on.
pub(super) struct UpstreamTool {
    connector: ConnectorName,
    description: Tool,
    tool: Arc<RemoteTool>,
    upstream: Arc<dyn Upstream>,
    /// Whether what the upstream says of its tools decides what it takes to call them.
    hints_are_trusted: bool,
}

impl UpstreamTool {
    pub(super) fn new(named: Named, upstream: Arc<dyn Upstream>, hints_are_trusted: bool) -> Self {
        Self {
            connector: named.connector,
            description: named.description,
            tool: named.tool,
            upstream,
            hints_are_trusted,
        }
    }

    async fn pass_on<T>(&self, call: &Call, arguments: JsonObject) -> Result<Reply<T>, ToolError> {
        let called = self.upstream.call(call, &self.tool, arguments).await;
        let response = called.map_err(|source| ToolError::Upstream {
            connector: self.connector.to_string(),
            source,
        })?;
        Ok(Reply::Response(Box::new(response)))
    }
}

#[async_trait]
impl DynTool for UpstreamTool {
    fn description(&self) -> &Tool {
        &self.description
    }

    fn required_scope(&self) -> Scope {
        match self.hints_are_trusted && self.tool.reads_only() {
            true => Scope::Read,
            false => Scope::Write,
        }
    }

    fn tier(&self) -> Tier {
        Tier::Gateway
    }

    async fn call(&self, call: &Call, arguments: JsonObject) -> Result<Reply<Value>, ToolError> {
        self.pass_on(call, arguments).await
    }

    async fn call_json(
        &self,
        call: &Call,
        arguments: &str,
    ) -> Option<Result<Reply<Arc<Written>>, ToolError>> {
        // Whether the headers say the same as the arguments is for rmcp to find out.
        if self.tool.repeats_arguments {
            return None;
        }
        let arguments = serde_json::from_str(arguments).ok()?;
        let called = self.pass_on(call, arguments).await;
        match &called {
            // It did nothing, and with which status of HTTP that is told is for rmcp to say.
            Err(ToolError::Upstream {
                source: UpstreamError::Rpc(error),
                ..
            }) if error.code == ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY => None,
            _ => Some(called),
        }
    }
}
