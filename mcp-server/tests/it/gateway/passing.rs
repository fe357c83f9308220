//! What passes through: tools of both eras and both transports, errors, progress, cancellation.

use mcp_server::upstream::ServerConfig;
use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{ACCEPT, Client, Era, JSON, modern, modern_headers, post_modern},
    process::folder,
    upstream::{Fake, gateway, gateway_with_token, remote_tools},
};

const TOOLS: &[&str] = &["echo", "wait", "steps", "fail", "refuse", "write"];

/// The server's own binary, as a program behind the gateway.
pub(super) fn own_binary(data_dir: &std::path::Path) -> ServerConfig {
    let argv = [
        env!("CARGO_BIN_EXE_mcp-server"),
        "stdio",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    ServerConfig::command(argv)
}

#[tokio::test]
async fn clients_of_both_eras_call_upstreams_of_both_eras() {
    for legacy in [false, true] {
        let fake = Fake::with(legacy, None);
        let (upstream, connector) = fake.serve().await;
        let server = gateway([("fake", connector)]).await;
        for era in [Era::Modern, Era::Legacy] {
            let mut client = Client::http(era, server.address).await;
            assert_eq!(remote_tools(&mut client).await, TOOLS, "{legacy} {era:?}");
            let result = client.call("echo", json!({"a": [1, {"b": "ü"}]})).await;
            let structured = &result["structuredContent"];
            assert_eq!(
                structured["arguments"],
                json!({"a": [1, {"b": "ü"}]}),
                "{result}"
            );
            assert_eq!(result["isError"], json!(false), "{result}");
            assert!(result["_meta"]["response_time_ms"].is_number(), "{result}");
        }
        server.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn an_answer_is_of_this_server_whoever_gave_it() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut connection = Http::connect(server.address).await;
    for id in 1..=2 {
        // The second one asks for progress, which the fast way leaves to rmcp.
        let mut message = modern(id, "tools/call", &json!({"name": "echo", "arguments": {}}));
        if id == 2 {
            message["params"]["_meta"]["progressToken"] = json!("p");
        }
        let response = post_modern(&mut connection, &message).await;
        let result = &response.message()["result"];
        assert_eq!(result["resultType"], "complete", "{result}");
        let name = &result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
        assert_eq!(name, "mcp-server", "{result}");
    }
    server.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_program_is_an_upstream_and_names_do_not_collide() {
    let folder = folder();
    let server = gateway([("mem", own_binary(folder.path()))]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let response = client.request("tools/list", json!({})).await;
    let names: Vec<_> = response["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"memory_add") && names.contains(&"mem__memory_add"),
        "{names:?}"
    );
    let added = client
        .ok("mem__memory_add", json!({"content": "over there"}))
        .await;
    let found = client
        .ok("mem__memory_search", json!({"query": "there"}))
        .await;
    assert_eq!(found["memories"][0]["id"], added["id"], "{found}");
    // It is over there, and not here.
    let found = client.ok("memory_search", json!({"query": "there"})).await;
    assert_eq!(found["memories"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn colliding_tools_of_two_upstreams_are_told_apart() {
    let (one, two) = (Fake::new(), Fake::new());
    two.exchange(&["echo", "other"]);
    let ((first, a), (second, b)) = (one.serve().await, two.serve().await);
    let server = gateway([("a", a), ("b", b)]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let tools = remote_tools(&mut client).await;
    let expect = [
        "a__echo", "wait", "steps", "fail", "refuse", "write", "b__echo", "other",
    ];
    assert_eq!(tools, expect);
    client.ok("b__echo", json!({})).await;
    assert_eq!((one.calls(), two.calls()), (0, 1));
    let response = client.request("tools/call", json!({"name": "echo"})).await;
    assert_eq!(response["error"]["code"], -32602, "{response}");
    for server in [server, first, second] {
        server.stop().await;
    }
}

#[tokio::test]
async fn failures_are_passed_on_as_what_they_are() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    for era in [Era::Modern, Era::Legacy] {
        let mut client = Client::http(era, server.address).await;
        let failed = client.call("fail", json!({})).await;
        assert_eq!(failed["isError"], true, "{failed}");
        assert_eq!(failed["content"][0]["text"], "it failed");
        let response = client
            .request("tools/call", json!({"name": "refuse", "arguments": {}}))
            .await;
        assert_eq!(response["error"]["code"], -32602, "{response}");
        assert_eq!(response["error"]["message"], "not like this");
        assert_eq!(response["error"]["data"], json!({"why": 1}));
    }
    upstream.stop().await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let gone = client.call("write", json!({})).await;
    assert_eq!(gone["isError"], true, "{gone}");
    assert_eq!(
        gone["_meta"]["error"]["code"], "upstream_unavailable",
        "{gone}"
    );
    assert_eq!(gone["_meta"]["error"]["retryable"], true);
    // This server's own tools do not mind.
    client.ok("memory_search", json!({"query": "x"})).await;
    server.stop().await;
}

#[tokio::test]
async fn news_of_progress_come_before_the_answer() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut connection = Http::connect(server.address).await;
    let mut message = modern(7, "tools/call", &json!({"name": "steps", "arguments": {}}));
    message["params"]["_meta"]["progressToken"] = json!("mine");
    connection
        .request(
            "POST",
            "/mcp",
            &modern_headers(&message),
            message.to_string(),
        )
        .await;
    let response = connection.response().await;
    let events: Vec<Value> = response
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str(data.trim()).ok())
        .collect();
    let news: Vec<_> = events
        .iter()
        .filter(|event| event["method"] == "notifications/progress")
        .map(|event| {
            (
                event["params"]["progressToken"].clone(),
                event["params"]["message"].clone(),
            )
        })
        .collect();
    let expect = [1, 2, 3].map(|step| (json!("mine"), json!(format!("step {step}"))));
    assert_eq!(news, expect, "{}", response.body);
    assert_eq!(
        events.last().unwrap()["result"]["content"][0]["text"],
        "done"
    );
    server.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work_upstream() {
    for legacy in [false, true] {
        let fake = Fake::with(legacy, None);
        let (upstream, connector) = fake.serve().await;
        let server = gateway([("fake", connector)]).await;
        // In the modern era to close the connection is to cancel.
        let mut connection = Http::connect(server.address).await;
        let message = modern(1, "tools/call", &json!({"name": "wait", "arguments": {}}));
        connection
            .request(
                "POST",
                "/mcp",
                &modern_headers(&message),
                message.to_string(),
            )
            .await;
        fake.reached_by(1).await;
        drop(connection);
        fake.cancelled().await;
        server.stop().await;
        upstream.stop().await;
    }
}

/// More calls than there are places wait for an upstream; the server's own tools do not notice.
#[tokio::test]
async fn a_hung_upstream_takes_no_places_from_others() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = crate::support::upstream::gateway_with([("fake", connector)], |config| {
        config.results.share_calls = false;
        config.in_flight_max = 150.try_into().unwrap();
        config.connections_max = 200.try_into().unwrap();
    })
    .await;
    let mut waiting = Vec::new();
    for id in 0..150 {
        let mut connection = Http::connect(server.address).await;
        let message = modern(id, "tools/call", &json!({"name": "wait", "arguments": {}}));
        connection
            .request(
                "POST",
                "/mcp",
                &modern_headers(&message),
                message.to_string(),
            )
            .await;
        waiting.push(connection);
    }
    fake.reached_by(150).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    client
        .ok("memory_add", json!({"content": "meanwhile"}))
        .await;
    // One more than the connector may have is refused at once.
    let refused = client.call("wait", json!({})).await;
    assert_eq!(refused["_meta"]["error"]["code"], "overloaded", "{refused}");
    fake.let_pass(150);
    for connection in &mut waiting {
        assert_eq!(connection.response().await.status(), 200);
    }
    server.stop().await;
    upstream.stop().await;
}

/// Many clients with the same ids over one upstream connection: each gets its own answer.
#[tokio::test]
async fn equal_ids_of_many_clients_do_not_cross() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..16 {
        let address = server.address;
        clients.spawn(async move {
            let mut connection = Http::connect(address).await;
            for round in 0..100 {
                let arguments = json!({"client": client, "round": round});
                let params = json!({"name": "write", "arguments": arguments});
                let message = modern(round, "tools/call", &params);
                let response = post_modern(&mut connection, &message).await.message();
                assert_eq!(response["id"], round);
                assert_eq!(
                    response["result"]["structuredContent"]["arguments"],
                    arguments
                );
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    assert_eq!(fake.calls(), 1_600);
    server.stop().await;
    upstream.stop().await;
}

/// What the client is let in here with is nobody else's business; what the connector says is sent.
#[tokio::test]
async fn a_clients_token_does_not_reach_an_upstream() {
    let (address, mut heads) = crate::support::raw::recorder().await;
    let mut connector = ServerConfig::url(format!("http://{address}/mcp"));
    connector.allow_private_address = true;
    connector.headers.insert("X-Own".to_owned(), "ours".into());
    let (server, secret) = gateway_with_token([("recorder", connector)]).await;
    let authorization = format!("Bearer {secret}");
    let mut connection = Http::connect(server.address).await;
    let message = modern(1, "tools/call", &json!({"name": "echo", "arguments": {}}));
    let mut headers = modern_headers(&message);
    headers.extend([
        JSON,
        ACCEPT,
        ("Authorization", authorization.as_str()),
        ("Cookie", "c=1"),
    ]);
    headers.dedup();
    headers.drain(..2);
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    assert_eq!(connection.response().await.status(), 200);
    let mut seen = 0;
    while let Ok(head) = heads.try_recv() {
        seen += 1;
        let head = head.to_ascii_lowercase();
        assert!(head.contains("x-own: ours"), "{head}");
        assert!(
            !head.contains(&secret.to_ascii_lowercase()) && !head.contains("cookie"),
            "{head}"
        );
    }
    assert!(seen >= 3, "it was discovered, listed and called: {seen}");
    server.stop().await;
}
