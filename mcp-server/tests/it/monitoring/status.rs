//! `/api/status`: what was done is in it, and who may look.

use std::time::Duration;

use mcp_server::{
    auth::Scope,
    config::{Config, HttpConfig},
    monitoring::MonitoringConfig,
};
use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{Client, Era, modern, post_modern},
    server::Server,
};

/// The status, as whoever shows `token` gets it.
async fn status(server: &Server, token: Option<&str>) -> Value {
    let mut connection = Http::connect(server.address).await;
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|bearer| ("Authorization", bearer.as_str()))
        .collect();
    let response = connection.get("/api/status", &headers).await;
    assert_eq!(response.status(), 200, "{response:?}");
    assert_eq!(response.head.header("cache-control"), Some("no-store"));
    response.message()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let list = list.as_array().unwrap();
    let found = list.iter().find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:?}"))
}

#[tokio::test]
async fn what_was_done_is_in_the_status() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let add = json!({"name": "memory_add", "arguments": {"content": "a walrus"}});
    let added = post_modern(&mut connection, &modern(1, "tools/call", &add)).await;
    let id = added.message()["result"]["structuredContent"]["id"].clone();
    let get = json!({"name": "memory_get", "arguments": {"id": id}});
    for number in 2..27 {
        post_modern(&mut connection, &modern(number, "tools/call", &get)).await;
    }
    let missing =
        json!({"name": "memory_get", "arguments": {"id": "0197f1a0-0000-7000-8000-000000000000"}});
    post_modern(&mut connection, &modern(30, "tools/call", &missing)).await;
    let method = modern(31, "memory/get", &json!({"id": id}));
    post_modern(&mut connection, &method).await;
    let mut client = Client::http(Era::Legacy, server.address).await;
    client
        .call("memory_search", json!({"query": "walrus"}))
        .await;

    let status = status(&server, None).await;
    let tool = |name: &str| {
        let tools = status["tools"].as_array().unwrap();
        let found = tools.iter().find(|tool| tool["tool"] == name);
        found.unwrap_or_else(|| panic!("{name}: {tools:?}")).clone()
    };
    let gets = tool("memory_get");
    assert_eq!(
        (&gets["lane"], &gets["tier"]),
        (&json!("other"), &json!("local"))
    );
    for window in ["minute", "hour", "day"] {
        let window = &gets[window];
        assert_eq!(window["calls"], 27, "{gets}");
        assert_eq!(
            (&window["errors"], &window["caller_errors"]),
            (&json!(0), &json!(1))
        );
        let at = |name: &str| window[name].as_f64().unwrap();
        assert!(at("p50_ms") > 0.0 && at("p50_ms") <= at("p95_ms"), "{gets}");
        assert!(
            at("p95_ms") <= at("p99_ms") && at("p99_ms") <= at("max_ms"),
            "{gets}"
        );
    }
    assert_eq!(tool("memory_add")["minute"]["calls"], 1);
    assert_eq!(status["grade"]["calls"], 29);
    assert!(status["grade"]["letter"].is_string(), "{}", status["grade"]);
    let targets = status["targets"].as_array().unwrap();
    let tiers: Vec<_> = targets
        .iter()
        .map(|t| (&t["tier"], &t["target_ms"]))
        .collect();
    let (local, fast, gateway) = (json!("local"), json!("fast"), json!("gateway"));
    let (fifty, hundred, two) = (json!(50.0), json!(100.0), json!(200.0));
    assert_eq!(
        tiers,
        [(&local, &fifty), (&fast, &hundred), (&gateway, &two)]
    );

    let cache = named(&status["caches"], "memory");
    assert_eq!(
        cache["hits"].as_u64().unwrap() + cache["misses"].as_u64().unwrap(),
        28
    );
    assert!(cache["hit_share"].as_f64().unwrap() > 0.5, "{cache}");
    assert_eq!(named(&status["batches"], "memory_writes")["items"], 1);
    assert_eq!(
        named(&status["breakers"], "memory_store")["state"],
        "closed"
    );
    assert!(!status["pools"].as_array().unwrap().is_empty());
    assert!(status["lanes"][2]["admitted"].as_u64() >= Some(29));
    assert_eq!(status["sessions"]["open"], 1);
    assert_eq!(status["clients"][0]["request_count"], 1);
    assert_eq!(status["clients"][0]["transport"], "http");
    assert!(status["process"]["resident_bytes"].as_u64() > Some(1 << 20));
    assert!(status["http"]["connections"].as_u64() >= Some(2));
    server.stop().await;
}

#[tokio::test]
async fn dependencies_are_in_it_with_the_time_since_when() {
    let server = Server::memory(HttpConfig::default()).await;
    server.app().monitor().look().await;
    let first = status(&server, None).await;
    let store = named(&first["dependencies"], "memory_store").clone();
    assert_eq!(
        (&store["state"], &store["kind"]),
        (&json!("up"), &json!("store"))
    );
    server.app().monitor().look().await;
    let second = status(&server, None).await;
    assert_eq!(
        named(&second["dependencies"], "memory_store")["since"],
        store["since"]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_token_is_asked_for_where_they_are_and_tenants_see_their_own_clients() {
    let http = HttpConfig {
        require_token: true,
        ..HttpConfig::default()
    };
    let callers = [("ann", Scope::Read), ("root", Scope::Admin)];
    let (server, tokens) = Server::with_tokens(http, &callers).await;
    let mut connection = Http::connect(server.address).await;
    assert_eq!(connection.get("/api/status", &[]).await.status(), 401);
    let foreign = [("Origin", "http://evil.example")];
    let mut connection = Http::connect(server.address).await;
    assert_eq!(connection.get("/api/status", &foreign).await.status(), 403);

    let clients = server.app().clients();
    let connect = |tenant: &str| {
        let owner = mcp_server::memory::Owner::new(tenant);
        clients.connect(
            owner,
            mcp_server::call::Lane::Other,
            mcp_server::client::Transport::Http,
        )
    };
    let _connected = [connect("ann"), connect("bob")];
    let seen = async |token: &str| {
        let status = status(&server, Some(token)).await;
        status["clients"].as_array().unwrap().len()
    };
    assert_eq!(seen(&tokens[0]).await, 1);
    assert_eq!(seen(&tokens[1]).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_counted_where_monitoring_is_off() {
    let server = Server::with(Config {
        monitoring: MonitoringConfig {
            enabled: false,
            ..MonitoringConfig::default()
        },
        ..Config::default()
    })
    .await;
    let mut connection = Http::connect(server.address).await;
    let search = json!({"name": "memory_search", "arguments": {"query": "x"}});
    post_modern(&mut connection, &modern(1, "tools/call", &search)).await;
    let status = status(&server, None).await;
    assert_eq!(
        (&status["enabled"], &status["tools"]),
        (&json!(false), &json!([]))
    );
    server.stop().await;
}

/// The settings of a server that judges in moments what others judge in a minute.
pub(super) fn quick() -> MonitoringConfig {
    let mut config = MonitoringConfig {
        window: Duration::from_secs(3),
        ..MonitoringConfig::default()
    };
    config.alerts.interval = Duration::from_millis(50);
    config
}
