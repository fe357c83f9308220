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

use mcp_cache::{Cache, Config, Error as CacheError, Loaded, tag_operation};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, Service, ServiceExt,
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
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let swarm = Swarm::default();
    let (agents, calls) = (Arc::clone(&swarm.agents), Arc::clone(&swarm.calls));
    let mut client = Client::connect(Cached::new(swarm)?).await?;

    for _ in 0..100 {
        client.send("list_agents").await?;
    }
    for _ in 0..100 {
        let answer = client.answer().await?;
        check(answer == "0 agents", "each of 100 callers is answered")?;
    }
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
    for _ in 0..2 {
        let answer = client.call("list_agents").await?;
        check(answer == "out of numbers", "an error is told")?;
    }
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

/// As much of a client as this takes.
struct Client {
    answers: Lines<BufReader<ReadHalf<DuplexStream>>>,
    pipe: WriteHalf<DuplexStream>,
    sent: u64,
}

impl Client {
    async fn connect(server: impl Service<RoleServer>) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let running = server.serve(tokio::io::split(theirs)).await?;
            running.waiting().await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });
        let (read, pipe) = tokio::io::split(ours);
        let mut client = Self {
            answers: BufReader::new(read).lines(),
            pipe,
            sent: 0,
        };
        client
            .write(
                &json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "example", "version": "1.0"}}}),
            )
            .await?;
        client.answers.next_line().await?.ok_or("no server")?;
        client
            .write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await?;
        Ok(client)
    }

    async fn write(&mut self, message: &Value) -> std::io::Result<()> {
        self.pipe.write_all(format!("{message}\n").as_bytes()).await
    }

    async fn send(&mut self, tool: &str) -> std::io::Result<()> {
        self.sent += 1;
        let call = json!({"jsonrpc": "2.0", "id": self.sent, "method": "tools/call",
            "params": {"name": tool, "arguments": {}}});
        self.write(&call).await
    }

    async fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let line = self.answers.next_line().await?.ok_or("the server ended")?;
        let answer: Value = serde_json::from_str(&line)?;
        let text = answer["result"]["content"][0]["text"].as_str();
        Ok(text.ok_or_else(|| line.clone())?.to_owned())
    }

    async fn call(&mut self, tool: &str) -> Result<String, Box<dyn Error>> {
        self.send(tool).await?;
        self.answer().await
    }
}

/// An example that does not show what it says must fail, so that CI sees it.
fn check(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    if !holds {
        println!("NO: {what}");
        return Err(what.into());
    }
    Ok(())
}
