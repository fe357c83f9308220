//! A server to be put behind the gateway, whose tools a test can exchange, hold up and count.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use mcp_server::{
    auth::Scope,
    config::{Config, HttpConfig},
    transport::http::SessionSink,
    upstream::{ConnectorName, ConnectorsConfig, ServerConfig},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ServerCapabilities,
        ServerConfig as Info, ServerNotification, SubscriptionFilter, Tool, ToolAnnotations,
        ToolListChangedNotification,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::{mcp::Client, server::Server, until, within};

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Shared>);

struct Shared {
    tools: Mutex<Vec<Tool>>,
    legacy: bool,
    ttl_ms: Option<u64>,
    calls: AtomicUsize,
    lists: AtomicUsize,
    waiting: Semaphore,
    gate: Semaphore,
    cancelled: Semaphore,
    changes: watch::Sender<u64>,
    sessions: Mutex<Vec<SessionSink>>,
}

fn tool(name: &str, reads: bool) -> Tool {
    let schema = json!({"type": "object"});
    let Value::Object(schema) = schema else {
        unreachable!("it is an object")
    };
    Tool::new(name.to_owned(), format!("does {name}"), schema)
        .with_annotations(ToolAnnotations::new().read_only(reads))
}

impl Fake {
    /// With the tools `echo`, `wait`, `steps`, `fail` and `refuse`, which only read, and `write`.
    pub(crate) fn new() -> Self {
        Self::with(false, None)
    }

    /// One that knows only the revisions with sessions, or says how long its list is fresh.
    pub(crate) fn with(legacy: bool, ttl_ms: Option<u64>) -> Self {
        let reading = ["echo", "wait", "steps", "fail", "refuse"].map(|name| tool(name, true));
        let tools = reading.into_iter().chain([tool("write", false)]);
        Self(Arc::new(Shared {
            tools: Mutex::new(tools.collect()),
            legacy,
            ttl_ms,
            calls: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            waiting: Semaphore::new(0),
            gate: Semaphore::new(0),
            cancelled: Semaphore::new(0),
            changes: watch::Sender::new(0),
            sessions: Mutex::default(),
        }))
    }

    /// Calls that came so far.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Times it was asked for its tools.
    pub(crate) fn lists(&self) -> usize {
        self.0.lists.load(Ordering::SeqCst)
    }

    /// Returns when `count` more calls of `wait` have come.
    pub(crate) async fn reached_by(&self, count: u32) {
        let permits = within("the calls", self.0.waiting.acquire_many(count)).await;
        permits.expect("never closed").forget();
    }

    /// Lets `count` calls of `wait` end.
    pub(crate) fn let_pass(&self, count: usize) {
        self.0.gate.add_permits(count);
    }

    /// Returns when a call of `wait` was cancelled.
    pub(crate) async fn cancelled(&self) {
        let permit = within("the cancellation", self.0.cancelled.acquire()).await;
        permit.expect("never closed").forget();
    }

    /// Exchanges the tools for ones of these names, which only read, and says so.
    pub(crate) fn exchange(&self, names: &[&str]) {
        let tools = names.iter().map(|name| tool(name, true)).collect();
        *self.0.tools.lock().expect("no panic") = tools;
        self.0.changes.send_modify(|change| *change += 1);
        let sessions = self.0.sessions.lock().expect("no panic").clone();
        for session in sessions {
            let changed = ToolListChangedNotification::default();
            // It may have ended.
            let _ = session.notify(ServerNotification::ToolListChangedNotification(changed));
        }
    }

    /// Serves it on a free port, with its address as a connector.
    pub(crate) async fn serve(&self) -> (Server, ServerConfig) {
        let server = Server::start(self.clone(), HttpConfig::default()).await;
        let mut connector = ServerConfig::url(format!("http://{}/mcp", server.address));
        connector.allow_private_address = true;
        (server, connector)
    }
}

impl ServerHandler for Fake {
    fn get_info(&self) -> Info {
        let capabilities = ServerCapabilities::builder().enable_tools();
        Info::new(capabilities.enable_tool_list_changed().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        match self.0.legacy {
            true => Cow::Borrowed(&[ProtocolVersion::V_2025_11_25]),
            false => Cow::Borrowed(&[ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28]),
        }
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.0.changes.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = changes.changed() => {
                    if changed.is_err() || context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let head = context.extensions.get::<http::request::Parts>();
        let sink = head.and_then(|head| head.extensions.get::<SessionSink>());
        let sink = sink.expect("it is a session").clone();
        self.0.sessions.lock().expect("no panic").push(sink);
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.0.lists.fetch_add(1, Ordering::SeqCst);
        let tools = self.0.tools.lock().expect("no panic").clone();
        let mut result = ListToolsResult::with_all_items(tools);
        result.ttl_ms = self.0.ttl_ms;
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let number = self.0.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let text = |text: &str| CallToolResult::success(vec![ContentBlock::text(text)]).into();
        match request.name.as_ref() {
            "wait" => {
                self.0.waiting.add_permits(1);
                tokio::select! {
                    permit = self.0.gate.acquire() => permit.expect("never closed").forget(),
                    () = context.ct.cancelled() => self.0.cancelled.add_permits(1),
                }
                Ok(text("waited"))
            }
            "steps" => {
                let token = context
                    .meta
                    .get_progress_token()
                    .expect("the client sends one");
                for step in 1..=3 {
                    let params = ProgressNotificationParam::new(token.clone(), f64::from(step))
                        .with_total(3.0)
                        .with_message(format!("step {step}"));
                    context
                        .peer
                        .notify_progress(params)
                        .await
                        .expect("it listens");
                    tokio::task::yield_now().await;
                }
                Ok(text("done"))
            }
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("it failed")]).into()),
            "refuse" => Err(ErrorData::invalid_params(
                "not like this",
                Some(json!({"why": 1})),
            )),
            _ => {
                let mut answer = json!({"arguments": request.arguments, "number": number});
                if let Some(traceparent) = context.meta.get("traceparent") {
                    answer["traceparent"] = traceparent.clone();
                }
                Ok(CallToolResult::structured(answer).into())
            }
        }
    }
}

/// A server with these connectors, once it has asked each of them.
pub(crate) async fn gateway<const N: usize>(connectors: [(&str, ServerConfig); N]) -> Server {
    gateway_with(connectors, |_| {}).await
}

/// The same with other settings.
pub(crate) async fn gateway_with<const N: usize>(
    connectors: [(&str, ServerConfig); N],
    set: impl FnOnce(&mut ConnectorsConfig),
) -> Server {
    let mut config = settings_of(connectors);
    set(&mut config.connectors);
    settled(Server::with(config).await).await
}

/// The same for a client that shows a token, with its secret.
pub(crate) async fn gateway_with_token<const N: usize>(
    connectors: [(&str, ServerConfig); N],
) -> (Server, String) {
    let callers = [("ann", Scope::Write)];
    let (server, mut secrets) = Server::with_callers(settings_of(connectors), &callers).await;
    (settled(server).await, secrets.remove(0))
}

/// Settings with these connectors.
pub(crate) fn settings_of<const N: usize>(connectors: [(&str, ServerConfig); N]) -> Config {
    let mut config = Config::default();
    config.connectors.servers = named(connectors);
    config.connectors.refresh.backoff = std::time::Duration::from_millis(50);
    config
}

async fn settled(server: Server) -> Server {
    within("the connectors", server.app().gateway().settled()).await;
    server
}

pub(crate) fn named<const N: usize>(
    connectors: [(&str, ServerConfig); N],
) -> BTreeMap<ConnectorName, ServerConfig> {
    let connectors = connectors.into_iter();
    connectors
        .map(|(name, server)| (name.parse().expect("a name"), server))
        .collect()
}

/// The names of the tools that do not belong to the server itself.
pub(crate) async fn remote_tools(client: &mut Client) -> Vec<String> {
    let response = client.request("tools/list", json!({})).await;
    let tools = response["result"]["tools"]
        .as_array()
        .expect("a list")
        .iter();
    let names = tools.filter_map(|tool| tool["name"].as_str());
    let own = [
        "memory_",
        "context_",
        "connector_",
        "get_performance_",
        "run_performance_",
    ];
    names
        .filter(|name| !own.iter().any(|own| name.starts_with(own)))
        .map(str::to_owned)
        .collect()
}

/// Waits until the tools that are not the server's own are these.
pub(crate) async fn until_tools_are(client: &mut Client, expect: &[&str]) {
    until("the tools", async || {
        (remote_tools(client).await == expect).then_some(())
    })
    .await;
}
