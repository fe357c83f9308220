//! The three tools, as tools and as methods, on every way in; and which calls are noted as slow.

use mcp_server::{
    app::App,
    config::{Config, HttpConfig, MemoryConfig},
    telemetry::SlowOperationsConfig,
};
use serde_json::{Value, json};

use crate::support::{
    mcp::{Client, Era},
    process::{Process, folder},
    server::Server,
};

#[tokio::test]
async fn the_three_tools_work_on_every_way_in() {
    let server = Server::memory(HttpConfig::default()).await;
    let dirs = [folder(), folder()];
    for mut client in [
        Client::http(Era::Modern, server.address).await,
        Client::http(Era::Legacy, server.address).await,
        Client::stdio(Era::Modern, dirs[0].path()).await,
        Client::stdio(Era::Legacy, dirs[1].path()).await,
    ] {
        let name = client.name();
        let whole = json!({"id": name, "class": "session", "content": {"step": 1},
                           "tags": ["t", name], "version": 0, "ttl_seconds": 60});
        let receipt = client.ok("context_put", whole).await;
        assert_eq!(receipt["version"], 1, "{name}: {receipt}");
        assert_eq!(receipt["tokens"], 3, "{name}: {receipt}");
        assert!(receipt["expires_at"].is_string(), "{name}: {receipt}");

        let context = client.ok("context_get", json!({"id": name})).await;
        assert_eq!(context["content"], json!({"step": 1}), "{name}");
        assert_eq!(context["class"], "session", "{name}");

        let asked = json!({"tags": [name], "budget_tokens": 3});
        let listed = client.ok("context_list", asked).await;
        assert_eq!(listed["contexts"], json!([context]), "{name}");
        let none = json!({"count": 0, "tokens": 0, "contexts": []});
        assert_eq!(listed["left_out"], none, "{name}");
        let asked = json!({"query": "step", "tags": [name], "budget_tokens": 2});
        let listed = client.ok("context_list", asked).await;
        let left_out = json!({"count": 1, "tokens": 3, "contexts": [{"id": name, "tokens": 3}]});
        assert_eq!(
            listed,
            json!({"contexts": [], "tokens": 0, "left_out": left_out})
        );

        // The same as methods.
        let put = json!({"id": name, "content": "text", "version": 1});
        let response = client.request("context/put", put.clone()).await;
        assert_eq!(response["result"]["version"], 2, "{name}: {response}");
        assert_eq!(
            response["result"]["resultType"], "complete",
            "{name}: {response}"
        );
        let response = client.request("context/get", json!({"id": name})).await;
        assert_eq!(response["result"]["content"], "text", "{name}: {response}");
        let response = client
            .request("context/list", json!({"class": "other"}))
            .await;
        assert!(response["result"]["tokens"].is_u64(), "{name}: {response}");
        let response = client.request("context/put", put).await;
        assert_eq!(response["error"]["code"], -32602, "{name}: {response}");
        assert_eq!(
            response["error"]["data"],
            json!({"code": "version_conflict", "retryable": false}),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_wrong_call_is_a_result_that_says_what_is_wrong() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let long = "x".repeat(256 * 1024 + 1);
    for (tool, arguments, code, says) in [
        (
            "context_put",
            json!({}),
            "invalid_argument",
            "missing field `content`",
        ),
        (
            "context_put",
            json!({"content": 5}),
            "invalid_argument",
            "content: invalid type: integer `5`, expected a text or a JSON object",
        ),
        (
            "context_put",
            json!({"content": {}}),
            "invalid_argument",
            "content: must not be empty",
        ),
        (
            "context_put",
            json!({"content": long}),
            "invalid_argument",
            "limit of 262144 bytes",
        ),
        (
            "context_put",
            json!({"content": "x", "class": "rule"}),
            "invalid_argument",
            "class: unknown variant `rule`, expected one of",
        ),
        (
            "context_put",
            json!({"content": "x", "id": "\n"}),
            "invalid_argument",
            "id: must not",
        ),
        (
            "context_put",
            json!({"content": "x", "id": "a", "version": 7}),
            "version_conflict",
            "context `a` is at version 0, not 7: read it again",
        ),
        (
            "context_get",
            json!({"id": "nowhere"}),
            "not_found",
            "no context has the id `nowhere`",
        ),
        (
            "context_get",
            json!({"ids": "a"}),
            "invalid_argument",
            "unknown field `ids`",
        ),
        (
            "context_list",
            json!({"budget_tokens": 0}),
            "invalid_argument",
            "from 1 to 200000",
        ),
        (
            "context_list",
            json!({"query": ""}),
            "invalid_argument",
            "query: must not be empty",
        ),
    ] {
        let result = client.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert_eq!(result["_meta"]["error"]["code"], code, "{tool}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(says), "{tool}: {says:?} is not in {text:?}");
    }
}

/// With a threshold of nothing every call is slow.
#[tokio::test]
async fn slow_calls_are_kept_with_their_sizes_and_without_their_contents() {
    let dir = folder();
    let app = App::build(&Config {
        memory: MemoryConfig {
            data_dir: Some(dir.path().to_owned()),
            ..MemoryConfig::default()
        },
        slow_operations: SlowOperationsConfig {
            threshold: std::time::Duration::ZERO,
            capacity: 2.try_into().unwrap(),
        },
        ..Config::default()
    })
    .await
    .unwrap();
    let server = Server::start(app.handler(), HttpConfig::default()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let content = "secret".repeat(1_000);
    for _ in 0..3 {
        client
            .ok("context_put", json!({"id": "a", "content": content}))
            .await;
    }
    client.ok("context_get", json!({"id": "a"})).await;
    client.call("memory_get", json!({"id": "nowhere"})).await;
    let slow = app.slow_operations();
    assert_eq!(slow.total(), 5);
    let latest = slow.latest();
    assert!(!format!("{latest:?}").contains("secret"));
    let [failed, read] = &latest[..] else {
        panic!("{latest:?}");
    };
    assert_eq!(
        (failed.operation.as_str(), failed.outcome),
        ("memory_get", "not_found")
    );
    assert_eq!(failed.response_bytes, 0);
    assert_eq!(
        (read.operation.as_str(), read.outcome),
        ("context_get", "ok")
    );
    assert!(
        read.response_bytes > 6_000 && read.request_bytes < 50,
        "{read:?}"
    );
    assert!(read.duration > std::time::Duration::ZERO);
    server.stop().await;
}

#[tokio::test]
async fn a_slow_call_is_one_line_of_the_log() {
    let dir = folder();
    let environment = [
        ("MCP_SERVER__SLOW_OPERATIONS__THRESHOLD", "0s"),
        ("MCP_SERVER__LOG__FORMAT", "json"),
    ];
    let arguments = ["--listen", "127.0.0.1:0"];
    let server = Process::serve_with(dir.path(), &arguments, &environment).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    client
        .ok("memory_add", json!({"content": "a secret"}))
        .await;
    let line = server.log.line("\"operation\":\"memory_add\"").await;
    assert!(!line.contains("secret"), "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["message"], "slow operation");
    assert_eq!(
        (&line["lane"], &line["outcome"]),
        (&json!("Other"), &json!("ok"))
    );
    for size in ["duration_ms", "request_bytes", "response_bytes"] {
        assert!(line[size].is_u64(), "{line}");
    }
}
