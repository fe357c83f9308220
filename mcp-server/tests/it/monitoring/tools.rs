//! The tools and resources that tell how the server does, and those that look after its caches.

use mcp_server::{
    auth::Scope,
    config::{Config, HttpConfig},
};
use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{Client, Era, modern, modern_headers},
    server::Server,
};

fn with_admin_tools() -> Config {
    let mut config = Config::default();
    config.monitoring.admin_tools = true;
    config
}

async fn names(client: &mut Client) -> Vec<String> {
    let listed = client.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    tools.iter().map(name).collect()
}

#[tokio::test]
async fn the_status_is_a_tool_and_two_resources() {
    let server = Server::memory(HttpConfig::default()).await;
    for era in [Era::Modern, Era::Legacy] {
        let mut client = Client::http(era, server.address).await;
        client.ok("memory_search", json!({"query": "x"})).await;
        let status = client.ok("get_performance_status", json!({})).await;
        assert!(status["grade"]["reason"].is_string(), "{status}");
        assert!(status["performance_target_met"].is_boolean(), "{status}");
        let tools = status["tools"].as_array().unwrap();
        assert!(
            tools.iter().any(|tool| tool["tool"] == "memory_search"),
            "{status}"
        );

        let listed = client.request("resources/list", json!({})).await;
        let uris = listed["result"]["resources"].as_array().unwrap();
        let uris: Vec<_> = uris.iter().map(|resource| &resource["uri"]).collect();
        assert_eq!(uris, ["perf://status", "perf://report/latest"]);
        for (uri, member) in [
            ("perf://status", "tools"),
            ("perf://report/latest", "hours"),
        ] {
            let read = client.request("resources/read", json!({"uri": uri})).await;
            let contents = &read["result"]["contents"][0];
            assert_eq!(
                (&contents["uri"], &contents["mimeType"]),
                (&json!(uri), &json!("application/json"))
            );
            let text: Value = serde_json::from_str(contents["text"].as_str().unwrap()).unwrap();
            assert!(text[member].is_array(), "{uri}: {text}");
        }
        let missing = client
            .request("resources/read", json!({"uri": "perf://x"}))
            .await;
        assert!(missing["error"].is_object(), "{missing}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_tools_for_caches_are_there_only_if_they_are_asked_for() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    assert!(
        !names(&mut client)
            .await
            .iter()
            .any(|name| name.starts_with("cache_"))
    );
    server.stop().await;
    let server = Server::with(with_admin_tools()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let names = names(&mut client).await;
    for name in ["cache_stats", "cache_clear", "cache_warm"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_cleared_is_read_again_and_nothing_else() {
    let server = Server::with(with_admin_tools()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    for namespace in ["work", "home"] {
        let memory = json!({"content": "a walrus", "namespace": namespace});
        client.ok("memory_add", memory).await;
    }
    let is_cached = async |client: &mut Client, namespace: &str| {
        let search = json!({"query": "walrus", "namespace": namespace});
        let found = client.call("memory_search", search).await;
        assert_eq!(
            found["structuredContent"]["memories"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        found["_meta"]["cached"] == true
    };
    for (clear, clears_home) in [
        (json!({"namespace": "work"}), false),
        (json!({"pattern": "s/5:local/4:work*"}), false),
        (json!({"cache": "memory", "all": true}), true),
        (json!({"all": true}), true),
    ] {
        is_cached(&mut client, "work").await;
        is_cached(&mut client, "home").await;
        assert!(is_cached(&mut client, "work").await && is_cached(&mut client, "home").await);
        let cleared = client.ok("cache_clear", clear.clone()).await;
        let told = cleared["caches"].as_array().unwrap();
        assert!(told.contains(&json!("memory")), "{clear}: {cleared}");
        assert!(!is_cached(&mut client, "work").await, "{clear}");
        assert_eq!(
            is_cached(&mut client, "home").await,
            !clears_home,
            "{clear}"
        );
    }
    let stats = client.ok("cache_stats", json!({})).await;
    assert_eq!(stats["caches"][0]["name"], "memory");
    client
        .ok("context_put", json!({"id": "c", "content": "x"}))
        .await;
    let warmed = client.ok("cache_warm", json!({})).await;
    assert_eq!(warmed["caches"][0]["cache"], "contexts");
    let refused = client
        .call("cache_clear", json!({"key": "a", "tag": "b"}))
        .await;
    assert_eq!(refused["isError"], true);
    server.stop().await;
}

#[tokio::test]
async fn caches_are_for_whoever_looks_after_the_server() {
    let callers = [("ann", Scope::Write), ("root", Scope::Admin)];
    let (server, tokens) = Server::with_callers(with_admin_tools(), &callers).await;
    for (token, status) in tokens.iter().zip([403, 200]) {
        for (tool, arguments) in [
            ("cache_stats", json!({})),
            ("cache_clear", json!({"all": true})),
            ("cache_warm", json!({})),
        ] {
            let params = json!({"name": tool, "arguments": arguments});
            let message = modern(1, "tools/call", &params);
            let bearer = format!("Bearer {token}");
            let mut headers = modern_headers(&message);
            headers.push(("Authorization", &bearer));
            let mut connection = Http::connect(server.address).await;
            connection
                .request("POST", "/mcp", &headers, message.to_string())
                .await;
            let response = connection.response().await;
            assert_eq!(response.status(), status, "{tool}: {response:?}");
        }
    }
    server.stop().await;
}
