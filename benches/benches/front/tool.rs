//! The tool that all servers have: for this server, and for plain rmcp.

use std::sync::Arc;

use mcp_server::{
    call::Call,
    tools::{Effect, Tool, ToolError},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A call of it, of revision 2026-07-28.
pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"bench_text","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"}}}}"#;

/// A tool that costs nothing but its answer.
pub(crate) struct BenchText(pub(crate) Arc<str>);

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Text {
    text: String,
}

impl Tool for BenchText {
    type Arguments = Nothing;
    type Output = Text;

    const NAME: &'static str = "bench_text";
    const TITLE: &'static str = "Text";
    const DESCRIPTION: &'static str = "Answers with a text.";
    const EFFECT: Effect = Effect::Reads;

    async fn call(&self, _call: &Call, _arguments: Nothing) -> Result<Text, ToolError> {
        let text = self.0.as_ref().to_owned();
        Ok(Text { text })
    }
}

/// The same for rmcp, without a router in between.
#[derive(Clone)]
pub(crate) struct Plain(pub(crate) Arc<str>);

impl ServerHandler for Plain {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = self.0.as_ref();
        Ok(CallToolResult::structured(serde_json::json!({ "text": text })).into())
    }
}
