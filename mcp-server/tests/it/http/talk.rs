//! A server that talks to its client, and a client that listens.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mcp_server::{config::HttpConfig, transport::http::SessionSink};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
        ProgressNotificationParam, ServerCapabilities, ServerConfig, ServerNotification,
        ToolListChangedNotification,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{
    http::Http,
    mcp::{legacy_headers, open_session, request},
    server::Server,
};

/// A server whose tools talk to the client while they run. Clones share the gate.
#[derive(Clone)]
pub(super) struct Talkative {
    pub(super) gate: Arc<Semaphore>,
    pub(super) working: Arc<AtomicUsize>,
}

/// Counts a call at work.
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Talkative {
    pub(super) fn new() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            working: Arc::default(),
        }
    }
}

fn said(text: impl Into<String>) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
}

#[expect(deprecated, reason = "clients of sessions are asked for their roots")]
impl ServerHandler for Talkative {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.working.fetch_add(1, Ordering::SeqCst);
        let _working = Working(self.working.clone());
        match &*request.name {
            "ask" => match context.peer.list_roots().await {
                Ok(result) => said(result.roots[0].uri.clone()),
                Err(error) => said(format!("refused: {error}")),
            },
            "report" => {
                let token = context.meta.get_progress_token().expect("it has one");
                for step in 1..=3 {
                    let progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
                    context
                        .peer
                        .notify_progress(progress)
                        .await
                        .expect("there is a stream");
                }
                self.gate.acquire().await.expect("never closed").forget();
                said("reported")
            }
            "flood" => {
                let token = context.meta.get_progress_token().expect("it has one");
                for step in 1..=200 {
                    let progress = ProgressNotificationParam::new(token.clone(), f64::from(step))
                        .with_message("x".repeat(1_000));
                    context
                        .peer
                        .notify_progress(progress)
                        .await
                        .expect("there is a stream");
                }
                said("flooded")
            }
            "announce" => {
                let parts = context.extensions.get::<http::request::Parts>();
                let sink = parts.and_then(|parts| parts.extensions.get::<SessionSink>());
                let changed = ToolListChangedNotification {
                    method: Default::default(),
                    extensions: Default::default(),
                };
                let changed = ServerNotification::ToolListChangedNotification(changed);
                match sink.expect("it is a session").notify(changed) {
                    Ok(()) => said("announced"),
                    Err(error) => said(error.to_string()),
                }
            }
            "panic" => panic!("of its own free will"),
            name => said(name.to_owned()),
        }
    }
}

/// A client in a session.
pub(super) struct Peer<'a> {
    server: &'a Server,
    pub(super) session: String,
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: Value,
}

impl<'a> Peer<'a> {
    pub(super) async fn open(server: &'a Server) -> Self {
        let session = open_session(&mut Http::connect(server.address).await).await;
        Self { server, session }
    }

    async fn post(&self, message: &Value) -> Http {
        let mut connection = Http::connect(self.server.address).await;
        let headers = legacy_headers(&self.session);
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        connection
    }

    /// Calls a tool and returns its stream.
    pub(super) async fn call(&self, id: u64, tool: &str) -> Http {
        let meta = json!({"progressToken": id});
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let mut connection = self.post(&request(id, "tools/call", &params)).await;
        assert_eq!(connection.head().await.status, 200);
        connection
    }

    pub(super) async fn tell(&self, message: &Value) {
        assert_eq!(self.post(message).await.head().await.status, 202);
    }

    /// The client's stream, from `last` on if there was one before.
    pub(super) async fn listen(&self, last: Option<&str>) -> Http {
        let mut connection = self.listen_head(last).await;
        let head = connection.head().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        connection
    }

    /// The same before its head.
    pub(super) async fn listen_head(&self, last: Option<&str>) -> Http {
        let mut connection = Http::connect(self.server.address).await;
        let mut headers = legacy_headers(&self.session);
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        connection.request("GET", "/mcp", &headers, "").await;
        connection
    }
}

/// The next event; `None` at the end of the stream.
pub(super) async fn event(stream: &mut Http) -> Option<Event> {
    loop {
        let chunk = stream.chunk().await.expect("the stream is open")?;
        let text = String::from_utf8(chunk).expect("streams are UTF-8");
        let mut event = Event::default();
        for line in text.lines() {
            match line
                .split_once(':')
                .map(|(name, value)| (name, value.trim()))
            {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", "")) => {}
                Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON"),
                _ => {}
            }
        }
        if event != Event::default() {
            return Some(event);
        }
    }
}

pub(super) async fn message(stream: &mut Http) -> Event {
    let event = event(stream).await.expect("the stream goes on");
    assert_eq!(event.name, "", "{event:?}");
    event
}

pub(super) fn text(event: &Event) -> &str {
    event.data["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {event:?}"))
}

pub(super) async fn talkative() -> (Server, Talkative) {
    let handler = Talkative::new();
    let server = Server::start(handler.clone(), HttpConfig::default()).await;
    (server, handler)
}
