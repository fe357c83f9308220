//! The end: who is in flight is answered, who only waits is not waited for.

use std::{net::SocketAddr, time::Duration};

use mcp_server::{config::HttpConfig, transport::http::Drained};
use serde_json::{Value, json};

use crate::support::{
    WriteLock,
    gate::Gate,
    http::Http,
    mcp::{Client, Era, legacy_headers, modern, modern_headers, open_session, request},
    process::{Process, folder},
    server::Server,
    until,
};

/// So long that a test that waits for it fails.
const LONG: Duration = Duration::from_secs(60);
const CALLS: u32 = 20;

fn config(drain_timeout: Duration) -> HttpConfig {
    HttpConfig {
        drain_timeout,
        ..HttpConfig::default()
    }
}

/// Sends a call that stands before the gate.
async fn send_call(address: SocketAddr) -> Http {
    let mut connection = Http::connect(address).await;
    let message = modern(1, "tools/call", &json!({"name": "wait", "arguments": {}}));
    let headers = modern_headers(&message);
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    connection
}

async fn send_session_call(address: SocketAddr, session: &str, id: u32) -> Http {
    let mut connection = Http::connect(address).await;
    let params = json!({"name": "wait", "arguments": {}});
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    let headers = legacy_headers(session);
    connection
        .request("POST", "/mcp", &headers, body.to_string())
        .await;
    connection
}

/// Reads the answer of a call that passed the gate, and the end of its connection.
async fn assert_answered(mut connection: Http) {
    let response = connection.response().await;
    assert_eq!(response.status(), 200, "{response:?}");
    let message = response.message();
    assert_eq!(
        message["result"]["content"][0]["text"], "passed",
        "{message}"
    );
    assert_eq!(connection.closed().await, "");
}

async fn assert_refuses_connections(address: SocketAddr) {
    until("the end of accepting", async || {
        Http::try_connect(address).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_in_flight_are_answered() {
    let gate = Gate::closed();
    let server = Server::start(gate.clone(), config(LONG)).await;
    let address = server.address;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(send_call(address).await);
    }
    gate.reached_by(CALLS).await;
    server.shutdown.cancel();
    assert_refuses_connections(address).await;
    gate.open();
    for call in calls {
        assert_answered(call).await;
    }
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn calls_in_flight_of_sessions_are_answered() {
    let gate = Gate::closed();
    let server = Server::start(gate.clone(), config(LONG)).await;
    let address = server.address;
    let mut opener = Http::connect(address).await;
    let sessions = [
        open_session(&mut opener).await,
        open_session(&mut opener).await,
    ];
    let mut calls = Vec::new();
    for id in 1..=CALLS {
        let session = &sessions[id as usize % 2];
        calls.push(send_session_call(address, session, id).await);
    }
    gate.reached_by(CALLS).await;
    server.shutdown.cancel();
    assert_refuses_connections(address).await;
    gate.open();
    for call in calls {
        assert_answered(call).await;
    }
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_off() {
    let gate = Gate::closed();
    let server = Server::start(gate.clone(), config(Duration::from_millis(200))).await;
    let mut opener = Http::connect(server.address).await;
    let session = open_session(&mut opener).await;
    let mut calls = [
        send_call(server.address).await,
        send_session_call(server.address, &session, 1).await,
    ];
    gate.reached_by(2).await;
    assert_eq!(server.stop().await, Drained::Cut);
    for call in &mut calls {
        call.closed().await;
    }
}

#[tokio::test]
async fn nobody_waits_for_a_client_that_left() {
    let gate = Gate::closed();
    let server = Server::start(gate.clone(), config(LONG)).await;
    let session = open_session(&mut Http::connect(server.address).await).await;
    let calls = [
        send_call(server.address).await,
        send_session_call(server.address, &session, 1).await,
    ];
    gate.reached_by(2).await;
    drop(calls);
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn nobody_waits_for_those_who_only_wait() {
    let server = Server::start(Gate::closed(), config(LONG)).await;
    let address = server.address;
    let mut idle = Http::connect(address).await;
    idle.get("/healthz", &[]).await;
    let silent = Http::connect(address).await;

    let session = open_session(&mut idle).await;
    let mut headers = legacy_headers(&session);
    headers.retain(|(name, _)| *name != "Accept");
    headers.push(("Accept", "text/event-stream"));
    let mut stream = Http::connect(address).await;
    stream.request("GET", "/mcp", &headers, "").await;
    assert_eq!(stream.head().await.status, 200);

    let mut subscription = Http::connect(address).await;
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let message = modern(1, "subscriptions/listen", &filter);
    let headers = modern_headers(&message);
    subscription
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    let head = subscription.head().await;
    assert_eq!(head.status, 200, "{head:?}");

    let drained = tokio::time::timeout(Duration::from_secs(5), server.stop()).await;
    assert_eq!(drained.expect("the drain waits for nobody"), Drained::Whole);
    for mut connection in [idle, silent, stream, subscription] {
        connection.closed().await;
    }
}

/// A request that never became whole is no call.
#[tokio::test]
async fn nobody_waits_for_half_a_head() {
    let server = Server::start(Gate::closed(), config(LONG)).await;
    let mut first = Http::connect(server.address).await;
    first.send("GET /healthz HTTP/1.1\r\nHost: loc").await;
    let mut second = Http::connect(server.address).await;
    second.get("/healthz", &[]).await;
    second.send("GET /healthz HTTP/1.1\r\nHost: loc").await;
    let drained = tokio::time::timeout(Duration::from_secs(5), server.stop()).await;
    assert_eq!(drained.expect("the drain waits for nobody"), Drained::Whole);
    first.closed().await;
    second.closed().await;
}

/// What was answered is also sent, however slowly it is read.
#[tokio::test]
async fn an_answer_that_is_read_slowly_is_waited_for() {
    let server = Server::memory(config(LONG)).await;
    let mut writer = Client::http(Era::Modern, server.address).await;
    let long = "slow ".repeat(200_000);
    for _ in 0..10 {
        writer.ok("memory_add", json!({"content": long})).await;
    }
    let params = json!({"name": "memory_search", "arguments": {"query": "slow", "limit": 10}});
    let message = modern(1, "tools/call", &params);
    let mut slow = Http::connect(server.address).await;
    let body = message.to_string();
    slow.request("POST", "/mcp", &modern_headers(&message), body)
        .await;
    assert_eq!(slow.head().await.status, 200);
    server.shutdown.cancel();
    // Longer than those may take that are not being answered.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let rest = slow.closed().await;
    assert!(rest.ends_with('}'), "{} bytes came", rest.len());
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn a_call_that_is_being_sent_is_answered() {
    let server = Server::memory(config(LONG)).await;
    let address = server.address;
    let body = add("late").to_string();
    let (start, end) = body.split_at(body.len() / 2);
    let mut connection = Http::connect(address).await;
    connection
        .begin(&modern_headers(&add("late")), body.len())
        .await;
    connection.send(start).await;
    server.shutdown.cancel();
    assert_refuses_connections(address).await;
    connection.send(end).await;
    assert_added(connection).await;
    assert_eq!(server.stop().await, Drained::Whole);
}

fn add(content: &str) -> Value {
    modern(1, "tools/call", &add_params(content))
}

fn add_params(content: &str) -> Value {
    json!({"name": "memory_add", "arguments": {"content": content}})
}

async fn assert_added(mut connection: Http) {
    let response = connection.response().await;
    assert_eq!(
        response.message()["result"]["isError"],
        false,
        "{response:?}"
    );
    assert_eq!(connection.closed().await, "");
}

/// Adds that wait for the database are in flight in the real server; the lock is their gate.
#[tokio::test]
async fn a_signal_drains_the_real_server() {
    for signal in ["TERM", "INT"] {
        let dir = folder();
        let mut server = Process::serve(dir.path()).await;
        let session = open_session(&mut Http::connect(server.address).await).await;
        let lock = WriteLock::take(dir.path());
        let mut calls = Vec::new();
        for n in 0..CALLS.into() {
            let modern = add(&format!("in flight {n}"));
            let legacy = request(n, "tools/call", &add_params(&format!("in flight {n}")));
            let mut connection = Http::connect(server.address).await;
            let (headers, body) = match n % 2 {
                0 => (modern_headers(&modern), modern.to_string()),
                _ => (legacy_headers(&session), legacy.to_string()),
            };
            connection.begin(&headers, body.len()).await;
            connection.send(body).await;
            calls.push(connection);
        }
        server.signal(signal);
        assert_refuses_connections(server.address).await;
        drop(lock);
        for call in calls {
            assert_added(call).await;
        }
        assert_eq!(server.exit().await.code(), Some(0));
        server.log.line("stopped").await;
    }
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    for signal in ["TERM", "INT"] {
        let dir = folder();
        let mut server = Process::serve(dir.path()).await;
        let mut connection = Http::connect(server.address).await;
        open_session(&mut connection).await;
        server.signal(signal);
        let exit = tokio::time::timeout(Duration::from_secs(2), server.exit()).await;
        assert_eq!(exit.expect("nothing to wait for").code(), Some(0));
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let dir = folder();
    let mut server = Process::serve(dir.path()).await;
    let mut connection = Http::connect(server.address).await;
    // Its body never comes, so the drain has something to wait for.
    connection
        .begin(&modern_headers(&add("never")), 1_000)
        .await;
    server.signal("TERM");
    server.log.line("once more").await;
    server.signal("TERM");
    let exit = tokio::time::timeout(Duration::from_secs(2), server.exit()).await;
    assert_eq!(exit.expect("at once").code(), Some(130));
}
