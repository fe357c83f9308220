//! A cache around any rmcp server handler.
//!
//! ```text
//! cargo run -p examples --example cache_rmcp
//! ```
//!
//! `Cached` takes the place of the handler: it answers tool calls from a cache
//! where a table says that the tool only reads, and invalidates by tags what a
//! tool that writes has changed. Everything else goes through. A client speaks
//! to it over a pipe, and sees one slow call shared by many, and no old answer
//! after a write.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::{check, pipe::Client};
use mcp_cache::{Cache, Config, Error as CacheError, Loaded, tag_operation};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, Service,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientNotification, ClientRequest,
        ContentBlock, ProtocolVersion, ServerCapabilities, ServerConfig, ServerResult,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let swarm = Swarm::default();
    let (agents, calls) = (Arc::clone(&swarm.agents), Arc::clone(&swarm.calls));
    let mut client = Client::connect(Cached::new(swarm)?).await?;

    for _ in 0..100 {
        client.send("list_agents", &json!({})).await?;
    }
    let mut answered = 0;
    for _ in 0..100 {
        answered += u32::from(client.answer().await? == "0 agents");
    }
    check(answered == 100, "each of 100 callers is answered")?;
    let ran = calls.swap(0, Ordering::Relaxed);
    println!("100 callers at once, the tool ran {ran} time(s)");
    check(ran == 1, "one call for all who ask at once")?;

    client.call("list_agents").await?;
    check(
        calls.swap(0, Ordering::Relaxed) == 0,
        "and none for who asks again",
    )?;

    println!("{}", client.call("create_agent").await?);
    let answer = client.call("list_agents").await?;
    println!("{answer}");
    check(answer == "1 agents", "a write is seen at once")?;

    calls.store(0, Ordering::Relaxed);
    agents.store(u64::MAX, Ordering::Relaxed);
    client.call("create_agent").await?;
    let first = client.call("list_agents").await?;
    let again = client.call("list_agents").await?;
    check(
        first == "out of numbers" && again == first,
        "an error is told",
    )?;
    check(calls.load(Ordering::Relaxed) == 3, "and not kept")
}

/// Any server, with a cache around its tools.
struct Cached<S> {
    inner: Arc<S>,
    results: Cache<String, ServerResult>,
}

impl<S: Service<RoleServer>> Cached<S> {
    fn new(inner: S) -> Result<Self, mcp_cache::ConfigError> {
        let bytes = |key: &String, result: &ServerResult| {
            let result = serde_json::to_vec(result).map_or(0, |text| text.len());
            (key.len() + result) as u64
        };
        Ok(Self {
            inner: Arc::new(inner),
            results: Cache::weighing(&Config::default(), bytes).build()?,
        })
    }

    /// The tags of a tool that only reads; others are not answered from the cache.
    fn tags_read(tool: &str) -> Option<[&'static str; 2]> {
        (tool == "list_agents").then_some(["agents", "swarm_status"])
    }
}

/// What decides an answer: the revision that is spoken, the tool, its arguments. A
/// server that tells its callers apart would add who asks.
fn key(call: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> String {
    let arguments = Value::from(call.arguments.clone().unwrap_or_default());
    let version = context
        .protocol_version()
        .map(|version| version.to_string());
    format!("{}/{}/{arguments}", version.unwrap_or_default(), call.name)
}

fn is_complete(result: &ServerResult) -> bool {
    matches!(result, ServerResult::CallToolResult(result) if result.is_error != Some(true))
}

impl<S: Service<RoleServer>> Service<RoleServer> for Cached<S> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let ClientRequest::CallToolRequest(call) = &request else {
            return self.inner.handle_request(request, context).await;
        };
        let tool = call.params.name.clone();
        let Some(tags) = Self::tags_read(&tool) else {
            let result = self.inner.handle_request(request, context).await;
            // Also when it failed: nobody knows how far it came.
            let changed = tag_operation(&tool);
            self.results
                .invalidate_by_tags(&changed.iter().collect::<Vec<_>>());
            return result;
        };
        let (key, inner) = (key(&call.params, &context), Arc::clone(&self.inner));
        let load = move || async move {
            let result = inner.handle_request(request, context).await?;
            let complete = is_complete(&result);
            let loaded = Loaded::new(result).tags(tags);
            Ok(if complete { loaded } else { loaded.not_kept() })
        };
        match self.results.get_or_fetch(&key, load).await {
            Ok(answer) => Ok(answer.value),
            Err(CacheError::Load(error)) => Err(ErrorData::clone(&error)),
            Err(late) => Err(ErrorData::internal_error(late.to_string(), None)),
        }
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.inner.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        self.inner.get_info()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }
}

/// Two tools; counting takes a while.
#[derive(Debug, Default)]
struct Swarm {
    agents: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
}

impl ServerHandler for Swarm {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if call.name == "create_agent" {
            let before = self.agents.load(Ordering::Relaxed);
            self.agents
                .store(before.saturating_add(1), Ordering::Relaxed);
            return Ok(CallToolResult::success(vec![ContentBlock::text("created")]).into());
        }
        let agents = self.agents.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if agents == u64::MAX {
            let text = vec![ContentBlock::text("out of numbers")];
            return Ok(CallToolResult::error(text).into());
        }
        let text = format!("{agents} agents");
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}
