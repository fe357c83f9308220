//! An MCP client for each way in: HTTP or stdio, in the era of sessions or the one after.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};

use super::{
    http::{Http, Response},
    stdio::Pipe,
};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";

/// What every request of a client carries.
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");
pub(crate) const ACCEPT: (&str, &str) = ("Accept", "application/json, text/event-stream");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Modern,
    Legacy,
}

enum Wire {
    Http {
        connection: Box<Http>,
        session: Option<String>,
    },
    Pipe(Box<Pipe>),
}

/// A client that is connected, and in a session if its era has them.
pub(crate) struct Client {
    era: Era,
    wire: Wire,
    next_id: u64,
}

/// A JSON-RPC request.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A request of the modern era, with the `_meta` it must have.
pub(crate) fn modern(id: u64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
    request(id, method, &params)
}

/// The handshake of the era of sessions.
pub(crate) fn initialize(version: &str) -> Value {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    request(0, "initialize", &params)
}

pub(crate) fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

/// The headers that a modern message must have besides its content type.
pub(crate) fn modern_headers(message: &Value) -> Vec<(&str, &str)> {
    let method = message["method"].as_str().unwrap_or_default();
    let mut headers = vec![
        JSON,
        ACCEPT,
        ("MCP-Protocol-Version", MODERN),
        ("Mcp-Method", method),
    ];
    let params = &message["params"];
    let named = ["name", "uri", "taskId"].map(|key| params[key].as_str());
    if let Some(name) = named.into_iter().flatten().next() {
        headers.push(("Mcp-Name", name));
    }
    headers
}

pub(crate) fn legacy_headers(session: &str) -> Vec<(&str, &str)> {
    vec![
        JSON,
        ACCEPT,
        ("MCP-Protocol-Version", LEGACY),
        ("Mcp-Session-Id", session),
    ]
}

/// Posts a modern message and returns the whole response.
pub(crate) async fn post_modern(connection: &mut Http, message: &Value) -> Response {
    let body = message.to_string();
    connection
        .request("POST", "/mcp", &modern_headers(message), body)
        .await;
    connection.response().await
}

/// Opens a session and returns its id.
pub(crate) async fn open_session(connection: &mut Http) -> String {
    let response = try_open_session(connection).await;
    assert_eq!(response.status(), 200, "{response:?}");
    let session = response.head.header("mcp-session-id");
    let session = session.expect("a session has an id").to_owned();
    let body = initialized().to_string();
    connection
        .request("POST", "/mcp", &legacy_headers(&session), body)
        .await;
    assert_eq!(connection.response().await.status(), 202);
    session
}

pub(crate) async fn try_open_session(connection: &mut Http) -> Response {
    let body = initialize(LEGACY).to_string();
    connection
        .request("POST", "/mcp", &[JSON, ACCEPT], body)
        .await;
    connection.response().await
}

impl Client {
    pub(crate) async fn http(era: Era, address: SocketAddr) -> Self {
        let mut connection = Box::new(Http::connect(address).await);
        let session = match era {
            Era::Modern => None,
            Era::Legacy => Some(open_session(&mut connection).await),
        };
        Self::new(
            era,
            Wire::Http {
                connection,
                session,
            },
        )
    }

    pub(crate) async fn stdio(era: Era, data_dir: &Path) -> Self {
        let mut pipe = Pipe::start(data_dir, &[]);
        if era == Era::Legacy {
            pipe.send(&initialize(LEGACY)).await;
            assert_eq!(pipe.receive().await["result"]["protocolVersion"], LEGACY);
            pipe.send(&initialized()).await;
        }
        Self::new(era, Wire::Pipe(Box::new(pipe)))
    }

    fn new(era: Era, wire: Wire) -> Self {
        Self {
            era,
            wire,
            next_id: 1,
        }
    }

    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// For the message of a failed assertion.
    pub(crate) fn name(&self) -> String {
        let wire = match self.wire {
            Wire::Http { .. } => "HTTP",
            Wire::Pipe(_) => "stdio",
        };
        format!("{wire}, {:?}", self.era)
    }

    /// Sends a request and returns its response.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let message = match self.era {
            Era::Modern => modern(id, method, &params),
            Era::Legacy => request(id, method, &params),
        };
        let response = match &mut self.wire {
            Wire::Http {
                connection,
                session: None,
            } => post_modern(connection, &message).await.message(),
            Wire::Http {
                connection,
                session: Some(session),
            } => {
                let headers = legacy_headers(session);
                let body = message.to_string();
                connection.request("POST", "/mcp", &headers, body).await;
                connection.response().await.message()
            }
            Wire::Pipe(pipe) => {
                pipe.send(&message).await;
                pipe.receive().await
            }
        };
        assert_eq!(response["id"], id, "{}: {response}", self.name());
        response
    }

    /// Calls a tool and returns the result, be it one of success or not.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let mut response = self.request("tools/call", params).await;
        assert!(response["result"].is_object(), "{tool}: {response}");
        response["result"].take()
    }

    /// Calls a tool that must succeed and returns the structured content.
    pub(crate) async fn ok(&mut self, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].take()
    }
}
