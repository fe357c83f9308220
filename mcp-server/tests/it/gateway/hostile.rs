//! Upstreams that mean harm, or fail in every way: each is cut off, and the others do not notice.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use mcp_server::upstream::{ConnectorsConfig, ServerConfig};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{
    mcp::{Client, Era},
    raw::{Answer, Script, connector, orderly, raw},
    server::Server,
    upstream::{Fake, gateway_with, named, remote_tools, until_tools_are},
};

/// Short limits, so that what hangs is cut off while a test waits.
fn hurried(config: &mut ConnectorsConfig) {
    config.connect_timeout = Duration::from_secs(2);
    config.call_timeout = Duration::from_secs(2);
    config.answer_bytes_max = (1 << 20).try_into().unwrap();
}

/// What comes of a call to a server that does this with it.
async fn outcome(call: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Value {
    let address = raw(orderly(call), None).await;
    let server = gateway_with([("raw", connector(address))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let result = client.call("echo", json!({})).await;
    assert_eq!(result["isError"], true, "{result}");
    // The server itself is as it was.
    client.ok("memory_search", json!({"query": "x"})).await;
    server.stop().await;
    result["_meta"]["error"]["code"].clone()
}

fn response(content_type: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
    )
}

#[tokio::test]
async fn nonsense_is_an_error_of_that_call() {
    let check = |code: Value, expect: &str| assert_eq!(code, expect);
    check(
        outcome(|_| response("application/json", "no json")).await,
        "upstream_protocol",
    );
    check(
        outcome(|_| response("text/html", "<p>hello</p>")).await,
        "upstream_protocol",
    );
    check(
        outcome(|_| response("application/json", "{}")).await,
        "upstream_protocol",
    );
    check(
        outcome(|_| Answer::Bytes(b"garbage\r\n\r\n".to_vec())).await,
        "upstream_unavailable",
    );
    check(outcome(|_| Answer::Close).await, "upstream_unavailable");
    check(outcome(|_| Answer::Hang).await, "upstream_timeout");
}

#[tokio::test]
async fn what_is_too_long_is_cut_off() {
    let huge =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{}";
    assert_eq!(
        outcome(|_| Answer::Bytes(huge.to_vec())).await,
        "upstream_protocol"
    );
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    // 16 KiB of white space.
    static CHUNK: LazyLock<Vec<u8>> =
        LazyLock::new(|| format!("4000\r\n{}\r\n", " ".repeat(16 << 10)).into_bytes());
    assert_eq!(
        outcome(|_| Answer::Endless(HEAD, &CHUNK)).await,
        "upstream_protocol"
    );
    const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n10\r\ndata:           \r\n";
    let code = outcome(|_| Answer::Endless(EVENTS, &CHUNK)).await;
    assert!(
        code == "upstream_unavailable" || code == "upstream_timeout",
        "{code}"
    );
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let unknown =
        r#"{"jsonrpc":"2.0","id":987654,"result":{"content":[],"resultType":"complete"}}"#;
    let code = outcome(move |_| response("application/json", unknown)).await;
    assert_eq!(code, "upstream_timeout");
    // The same answer twice: the first one counts.
    let script = orderly(|message| {
        let event = |text: &str| {
            let result =
                json!({"content": [{"type": "text", "text": text}], "resultType": "complete"});
            let message = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            format!("data: {message}\n\n")
        };
        response("text/event-stream", &(event("first") + &event("second")))
    });
    let server = gateway_with([("raw", connector(raw(script, None).await))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    for _ in 0..3 {
        let result = client.call("echo", json!({})).await;
        assert_eq!(result["content"][0]["text"], "first", "{result}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_endless_list_ends() {
    let pages = |numbered: bool| -> Script {
        let inner = orderly(|_| Answer::Close);
        Arc::new(move |message, number| match message["method"].as_str() {
            Some("tools/list") => {
                let tools: Vec<_> = (0..100)
                    .map(|tool| json!({"name": format!("t{number}_{tool}"), "inputSchema": {"type": "object"}}))
                    .collect();
                let cursor = if numbered {
                    format!("page {number}")
                } else {
                    "again".to_owned()
                };
                Answer::Result(
                    json!({"tools": tools, "nextCursor": cursor, "ttlMs": 0, "cacheScope": "public"}),
                )
            }
            _ => inner(message, number),
        })
    };
    // New tools on each page: as many as may be.
    let address = raw(pages(true), None).await;
    let server = gateway_with([("raw", connector(address))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    assert_eq!(remote_tools(&mut client).await.len(), 1_000);
    server.stop().await;
    // The same page again and again: none.
    let address = raw(pages(false), None).await;
    let server = gateway_with([("raw", connector(address))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let status = client.ok("connector_list", json!({})).await;
    let error = status["connectors"][0]["error"].as_str().unwrap();
    assert!(error.contains("has no end"), "{status}");
    server.stop().await;
}

/// A redirect to this machine leads nowhere, though the upstream itself may be here.
#[tokio::test]
async fn a_redirect_is_no_way_around_the_guard() {
    let fake = Fake::new();
    let (inside, _) = fake.serve().await;
    let target = inside.address;
    let script = orderly(move |_| {
        let head = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/mcp\r\nContent-Length: 0\r\n\r\n"
        );
        Answer::Bytes(head.into_bytes())
    });
    let server = gateway_with([("raw", connector(raw(script, None).await))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let result = client.call("echo", json!({})).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("no public address"), "{result}");
    assert_eq!(fake.calls(), 0);
    server.stop().await;
    inside.stop().await;
}

#[tokio::test]
async fn a_private_address_must_be_allowed_by_name() {
    let fake = Fake::new();
    let (upstream, mut open) = fake.serve().await;
    open.allow_private_address = false;
    let server = gateway_with([("fake", open)], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let status = client.ok("connector_list", json!({})).await;
    let status = &status["connectors"][0];
    assert_eq!(status["condition"], "failed", "{status}");
    assert!(
        status["error"]
            .as_str()
            .unwrap()
            .contains("allow_private_address"),
        "{status}"
    );
    assert_eq!(fake.lists(), 0);
    server.stop().await;
    upstream.stop().await;
}

/// Refused credentials are not tried again by itself, but when somebody asks.
#[tokio::test]
async fn refused_credentials_wait_for_somebody() {
    let (heads, mut seen) = mpsc::channel(100);
    let refusing: Script = Arc::new(|_, _| {
        Answer::Bytes(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        )
    });
    let address = raw(refusing, Some(heads)).await;
    let server = gateway_with([("raw", connector(address))], hurried).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let mut tries = || std::iter::from_fn(|| seen.try_recv().ok()).count();
    assert_eq!(tries(), 1);
    // Longer than any pause after a failure would be here.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(tries(), 0);
    let status = client.ok("connector_refresh", json!({"name": "raw"})).await;
    assert!(
        status["error"].as_str().unwrap().contains("credentials"),
        "{status}"
    );
    assert_eq!(tries(), 1);
    server.stop().await;
}

/// Four of five work, whatever the fifth does, and a program that ends at once is as dead as a port
/// where nobody listens.
#[tokio::test]
async fn one_dead_of_five_leaves_four() {
    for dead in [
        ServerConfig::command(["false"]),
        ServerConfig::command(["/nowhere/at/all"]),
        ServerConfig::command(["sleep", "1000"]),
        connector(raw(Arc::new(|_, _| Answer::Hang), None).await),
        connector("127.0.0.1:1".parse().unwrap()),
    ] {
        let fakes = [(); 4].map(|()| Fake::new());
        let mut upstreams = Vec::new();
        let mut connectors = Vec::new();
        for (number, fake) in fakes.iter().enumerate() {
            fake.exchange(&[&format!("tool_{number}")]);
            let (upstream, connector) = fake.serve().await;
            upstreams.push(upstream);
            connectors.push(connector);
        }
        let [a, b, c, d] = connectors.try_into().unwrap();
        let mut config = mcp_server::config::Config::default();
        config.connectors.servers = named([("a", a), ("b", b), ("c", c), ("d", d), ("dead", dead)]);
        hurried(&mut config.connectors);
        // Ready before any upstream is.
        let server = Server::with(config).await;
        let mut client = Client::http(Era::Modern, server.address).await;
        until_tools_are(&mut client, &["tool_0", "tool_1", "tool_2", "tool_3"]).await;
        for (number, fake) in fakes.iter().enumerate() {
            client.ok(&format!("tool_{number}"), json!({})).await;
            assert_eq!(fake.calls(), 1);
        }
        server.stop().await;
        for upstream in upstreams {
            upstream.stop().await;
        }
    }
}

/// Twenty pages of nearly a megabyte each: every one is within the bound of an answer, and all of
/// them are more than a list may have.
#[tokio::test]
async fn a_list_has_a_bound_in_bytes() {
    let inner = orderly(|_| Answer::Close);
    let script: Script = Arc::new(move |message, number| match message["method"].as_str() {
        Some("tools/list") => {
            let about = "x".repeat(900 << 10);
            let tool = json!({"name": format!("t{number}"), "description": about,
                              "inputSchema": {"type": "object"}});
            let cursor = (number < 40).then(|| format!("page {number}"));
            Answer::Result(
                json!({"tools": [tool], "nextCursor": cursor, "ttlMs": 0, "cacheScope": "public"}),
            )
        }
        _ => inner(message, number),
    });
    let address = raw(script, None).await;
    let server = gateway_with([("raw", connector(address))], |config| {
        hurried(config);
        config.connect_timeout = Duration::from_secs(30);
    })
    .await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let status = client.ok("connector_list", json!({})).await;
    let error = status["connectors"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("list of tools has more than 16777216 bytes"),
        "{status}"
    );
    assert!(remote_tools(&mut client).await.is_empty());
    server.stop().await;
}
