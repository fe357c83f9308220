//! Lanes: which one a call is in, whatever carries it, and what that is worth in a flood.

mod flood;

use mcp_server::{app::App, call::Lane, config::HttpConfig};
use serde_json::{Value, json};

use crate::support::{
    http::{Http, Response},
    mcp::{
        ACCEPT, JSON, LEGACY, initialize, initialized, legacy_headers, modern, modern_headers,
        request,
    },
    process::{Process, folder},
    server::Server,
    stdio::Pipe,
};

const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// A read of a memory that is not there, by a client of this name.
fn call(name: &str) -> Value {
    let params = json!({"name": "memory_get", "arguments": {"id": "x"}});
    let mut message = modern(1, "tools/call", &params);
    message["params"]["_meta"][CLIENT_INFO]["name"] = json!(name);
    message
}

async fn post(connection: &mut Http, path: &str, message: &Value) -> Response {
    let headers = modern_headers(message);
    let body = message.to_string();
    connection.request("POST", path, &headers, body).await;
    connection.response().await
}

fn admitted(app: &App) -> [u64; 3] {
    let lanes = app.admission().expect("it is not in safe mode").stats();
    lanes.map(|lane| lane.admitted)
}

/// Runs a call and says which lane's counter it moved.
async fn lane_of(app: &App, call: impl Future<Output = Response>) -> Lane {
    let before = admitted(app);
    let response = call.await;
    assert_eq!(response.status(), 200, "{response:?}");
    let after = admitted(app);
    let moved: Vec<_> = Lane::ALL
        .into_iter()
        .filter(|lane| after[lane.index()] != before[lane.index()])
        .collect();
    assert_eq!(moved.len(), 1, "{before:?} {after:?}");
    moved[0]
}

#[tokio::test]
async fn a_request_by_itself_is_in_the_lane_of_its_path_or_of_its_client() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    for (path, client, lane) in [
        ("/mcp", "Cursor", Lane::Cursor),
        ("/mcp", "cursor-vscode", Lane::Cursor),
        ("/mcp", "Visual Studio Code - Insiders", Lane::Vscode),
        ("/mcp", "test", Lane::Other),
        ("/mcp/cursor", "test", Lane::Cursor),
        ("/mcp/vscode", "Cursor", Lane::Vscode),
        ("/mcp/other", "Visual Studio Code", Lane::Other),
    ] {
        let message = call(client);
        let answer = post(&mut connection, path, &message);
        assert_eq!(lane_of(server.app(), answer).await, lane, "{path} {client}");
    }
    // Such clients are never connected.
    assert_eq!(server.app().clients().stats(), []);
}

/// Opens a session at `path` as a client of this name.
async fn open_session(connection: &mut Http, path: &str, name: &str) -> String {
    let mut message = initialize(LEGACY);
    message["params"]["clientInfo"]["name"] = json!(name);
    let body = message.to_string();
    connection
        .request("POST", path, &[JSON, ACCEPT], body)
        .await;
    let response = connection.response().await;
    let session = response.head.header("mcp-session-id").unwrap().to_owned();
    let body = initialized().to_string();
    let headers = legacy_headers(&session);
    connection.request("POST", path, &headers, body).await;
    assert_eq!(connection.response().await.status(), 202);
    session
}

#[tokio::test]
async fn a_session_is_in_the_lane_it_was_opened_in() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let params = json!({"name": "memory_get", "arguments": {"id": "x"}});
    let body = request(1, "tools/call", &params).to_string();
    let mut sessions = Vec::new();
    for (opened_at, client, path, lane) in [
        ("/mcp", "Cursor", "/mcp", Lane::Cursor),
        ("/mcp/vscode", "test", "/mcp", Lane::Vscode),
        ("/mcp", "Cursor", "/mcp/other", Lane::Other),
    ] {
        let session = open_session(&mut connection, opened_at, client).await;
        let answer = async {
            let headers = legacy_headers(&session);
            connection.request("POST", path, &headers, &body).await;
            connection.response().await
        };
        let found = lane_of(server.app(), answer).await;
        assert_eq!(found, lane, "{opened_at} {client} {path}");
        sessions.push(session);
    }
    let known = || -> Vec<_> {
        let clients = server.app().clients().stats();
        let clients = clients.iter().map(|client| {
            let client = serde_json::to_value(client).unwrap();
            assert!(client["connection_time"].is_string(), "{client}");
            json!([
                client["user_id"],
                client["client_type"],
                client["request_count"],
                client["transport"]
            ])
        });
        clients.collect()
    };
    let third = json!(["local", "cursor", 1, "http"]);
    assert_eq!(
        known(),
        [
            json!(["local", "cursor", 1, "http"]),
            json!(["local", "vscode", 1, "http"]),
            third.clone()
        ]
    );
    for session in &sessions[..2] {
        let headers = legacy_headers(session);
        connection.request("DELETE", "/mcp", &headers, "").await;
        assert_eq!(connection.response().await.status(), 204);
    }
    assert_eq!(known(), [third]);
}

#[tokio::test]
async fn a_path_of_no_lane_says_which_there_are() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    for path in ["/mcp/claude", "/mcp/Cursor", "/mcp/cursr", "/mcp/cursor%2F"] {
        let response = post(&mut connection, path, &call("Cursor")).await;
        assert_eq!(response.status(), 404, "{path}: {response:?}");
        assert!(
            response.body.contains("/mcp/cursor"),
            "{path}: {response:?}"
        );
    }
    for path in ["/mcp/", "/mcp/cursor/", "/mcp/cursor/x"] {
        let response = post(&mut connection, path, &call("Cursor")).await;
        assert_eq!(response.status(), 404, "{path}: {response:?}");
    }
    assert_eq!(admitted(server.app()), [0, 0, 0]);
}

#[tokio::test]
async fn over_stdio_the_option_decides_and_then_the_name() {
    for (arguments, client, lane) in [
        (&["--client", "VS Code"][..], "Cursor", "vscode"),
        (&["--client", "cursor"], "test", "cursor"),
        (&["--client", "claude"], "Cursor", "other"),
        (&[], "Cursor", "cursor"),
        (&[], "test", "other"),
    ] {
        let dir = folder();
        let filter = [("MCP_SERVER__LOG__FILTER", "mcp_server=debug")];
        let mut pipe = Pipe::start_with(dir.path(), arguments, &filter);
        pipe.send(&call(client)).await;
        pipe.receive().await;
        let line = pipe.log.line("tool=memory_get").await;
        assert!(
            line.contains(&format!("lane={lane}")),
            "{arguments:?} {client}: {line}"
        );
    }
    let dir = folder();
    let filter = [("MCP_SERVER__LOG__FILTER", "mcp_server=debug")];
    let mut pipe = Pipe::start_with(dir.path(), &[], &filter);
    let mut hello = initialize(LEGACY);
    hello["params"]["clientInfo"]["name"] = json!("Visual Studio Code");
    pipe.send(&hello).await;
    pipe.receive().await;
    pipe.send(&initialized()).await;
    let params = json!({"name": "memory_get", "arguments": {"id": "x"}});
    pipe.send(&request(1, "tools/call", &params)).await;
    pipe.receive().await;
    let line = pipe.log.line("tool=memory_get").await;
    assert!(line.contains("lane=vscode"), "{line}");
}

/// A server that could not serve itself would say so.
#[tokio::test]
async fn the_server_has_called_itself_when_it_is_ready() {
    let dir = folder();
    let arguments = ["--listen", "127.0.0.1:0", "--log", "mcp_server=debug"];
    let server = Process::serve_with(dir.path(), &arguments, &[]).await;
    server.log.line("tool=memory_get").await;
    assert_eq!(server.log.count("the warm-up request failed"), 0);
}
