//! A tool of an upstream, as a tool of this server.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

use super::{ConnectorName, RemoteTool, naming::Named};
use crate::{
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
}

impl UpstreamTool {
    pub(super) fn new(named: Named, upstream: Arc<dyn Upstream>) -> Self {
        Self {
            connector: named.connector,
            description: named.description,
            tool: named.tool,
            upstream,
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
        let arguments = serde_json::from_str(arguments).ok()?;
        Some(self.pass_on(call, arguments).await)
    }
}
