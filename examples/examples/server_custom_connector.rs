//! A connector of one's own, beside those that the gateway brings along.
//!
//! ```text
//! cargo run -p examples --example server_custom_connector
//! ```
//!
//! The gateway reaches other MCP servers as programs or by HTTP. Whatever
//! implements `Upstream` can be a connector, too: here a calculator inside of
//! the process; it could as well speak another protocol. `Own` puts it in place
//! by the name of its connector and leaves all others to the gateway's stack.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use async_trait::async_trait;
use examples::{check, http::call_tool};
use mcp_server::{
    adapters::UpstreamStack,
    call::Call,
    config::HttpConfig,
    ports::Upstream,
    protocol::{McpHandler, Strict},
    tools::{self, Registry},
    transport::http,
    upstream::{
        Changes, ConnectorName, ConnectorsConfig, Gateway, Listed, Manifest, MapSource, RemoteTool,
        ServerConfig, ServiceMapConfig, Stack, Store, Until, UpstreamError, Wanted, registry_path,
    },
};
use rmcp::model::{CacheScope, CallToolResponse, CallToolResult, ContentBlock, JsonObject, Tool};
use serde_json::{Value, json};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

/// Adds numbers.
struct Calculator;

#[async_trait]
impl Upstream for Calculator {
    async fn tools(&self, _: Wanted) -> Result<Listed, UpstreamError> {
        let schema = json!({"type": "object", "properties": {
            "numbers": {"type": "array", "items": {"type": "number"}}}});
        let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
        let sum = Tool::new("sum", "Adds numbers", Arc::new(schema));
        let manifest = Manifest {
            server: "calculator".to_owned(),
            protocol: "none".to_owned(),
            tools: vec![Arc::new(RemoteTool::new(sum))],
            ttl: None,
            scope: CacheScope::Public,
            asked_at: Instant::now(),
        };
        Ok(Listed {
            manifest: Arc::new(manifest),
            fresh_until: Instant::now() + Duration::from_secs(3600),
            stale: None,
        })
    }

    async fn call(
        &self,
        _: &Call,
        _: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        let numbers = arguments.get("numbers").and_then(Value::as_array);
        let sum: f64 = numbers
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .sum();
        Ok(CallToolResult::success(vec![ContentBlock::text(sum.to_string())]).into())
    }

    // It never fails, so it is never left alone, and nothing runs for it.

    fn pause(&self) -> Option<Until> {
        None
    }

    fn asked(&self) {}

    async fn idle(&self) {}

    async fn close(&self) {}
}

/// The gateway's own stack, but for one name.
struct Own(UpstreamStack);

impl Stack for Own {
    fn build(
        &self,
        name: &ConnectorName,
        server: &ServerConfig,
        changes: &Arc<Changes>,
    ) -> Result<Arc<dyn Upstream>, UpstreamError> {
        match name.as_str() {
            "calculator" => Ok(Arc::new(Calculator)),
            _ => self.0.build(name, server, changes),
        }
    }

    fn map_source(
        &self,
        config: &ServiceMapConfig,
    ) -> Result<Option<Box<dyn MapSource>>, UpstreamError> {
        self.0.map_source(config)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut config = ConnectorsConfig::default();
    let place = ServerConfig::command(["calculator"]);
    config.servers.insert("calculator".parse()?, place);

    // The gateway, its tools, MCP, and HTTP.
    let stack = Arc::new(Own(UpstreamStack::new(&config, false)?));
    let connectors = Arc::new(Store::open(&registry_path(folder.path()))?);
    let gateway = Gateway::new(config, connectors, stack);
    let registry = Arc::new(tools::with_connector_tools(Registry::new(), &gateway));
    gateway.start(&registry);
    gateway.settled().await;
    let handler = Strict::new(McpHandler::new(registry));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (addr, stop) = (listener.local_addr()?, CancellationToken::new());
    let (options, config) = (http::Options::default(), HttpConfig::default());
    let served = tokio::spawn(http::serve(
        listener,
        handler,
        options,
        config,
        stop.clone(),
    ));

    let answer = call_tool(addr, "sum", &json!({"numbers": [1, 2, 3.5]})).await?;
    let text = &answer["result"]["content"][0]["text"];
    println!("the sum is {text}");
    check(text == "6.5", "a call reaches the calculator")?;
    let listed = call_tool(addr, "connector_list", &json!({})).await?;
    println!("{}", listed["result"]["structuredContent"]);
    let is_listed = listed["result"]["structuredContent"]
        .to_string()
        .contains("calculator");
    check(is_listed, "and it is a connector like any other")?;

    stop.cancel();
    served.await??;
    gateway.close().await;
    Ok(())
}
