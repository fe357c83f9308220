//! The dashboard's paths: what is open, what takes a token, and what the actions really do. The page
//! itself is looked at by a real browser, in `tests/dashboard`.

use mcp_server::{
    auth::Scope,
    config::{Config, DashboardConfig, HttpConfig},
};
use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{Client, Era},
    server::Server,
    within,
};

fn asking_for_tokens() -> Config {
    Config {
        http: HttpConfig {
            require_token: true,
            ..HttpConfig::default()
        },
        ..Config::default()
    }
}

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = Http::connect(server.address).await.get(path, headers).await;
    (response.status(), response.body)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Posts a wish to clear caches.
async fn clear(server: &Server, token: Option<&str>, wish: &Value) -> (u16, String) {
    let mut connection = Http::connect(server.address).await;
    let authorization = token.map(bearer);
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(
        authorization
            .as_deref()
            .map(|shown| ("Authorization", shown)),
    );
    let path = "/api/cache/clear";
    connection
        .request("POST", path, &headers, wish.to_string())
        .await;
    let response = connection.response().await;
    (response.status(), response.body)
}

/// The first event of the stream, which stays open for as long as the connection.
async fn first_event(server: &Server, headers: &[(&str, &str)]) -> (Http, Value) {
    let mut connection = Http::connect(server.address).await;
    connection.request("GET", "/api/events", headers, "").await;
    let head = connection.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let chunk = within("an event", connection.chunk()).await;
    let chunk = String::from_utf8(chunk.unwrap().expect("it goes on")).unwrap();
    let data = chunk.strip_prefix("data: ").expect("it is data");
    (connection, serde_json::from_str(data.trim()).unwrap())
}

#[tokio::test]
async fn the_page_needs_no_token_and_its_figures_do() {
    let callers = [("local", Scope::Admin), ("ann", Scope::Read)];
    let (server, tokens) = Server::with_callers(asking_for_tokens(), &callers).await;
    for path in [
        "/dashboard",
        "/dashboard/js/main.js",
        "/dashboard/style.css",
    ] {
        let mut connection = Http::connect(server.address).await;
        let response = connection.get(path, &[]).await;
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.head.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let shown = bearer(&tokens[1]);
    for path in [
        "/api/events",
        "/api/history?window=day",
        "/api/access",
        "/api/benchmark",
    ] {
        assert_eq!(get(&server, path, &[]).await.0, 401, "{path}");
        let wrong = [("Authorization", "Bearer none")];
        assert_eq!(get(&server, path, &wrong).await.0, 401, "{path}");
        let foreign = [
            ("Authorization", &*shown),
            ("Origin", "http://evil.example"),
        ];
        assert_eq!(get(&server, path, &foreign).await.0, 403, "{path}");
        if path != "/api/events" {
            let (status, body) = get(&server, path, &[("Authorization", &shown)]).await;
            assert_eq!(status, 200, "{path}: {body}");
        }
    }
    let (_, body) = get(&server, "/api/access", &[("Authorization", &shown)]).await;
    let access: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({
        "tenant": "ann", "scope": "read", "token": true, "token_required": true, "tokens": true
    });
    assert_eq!(access, expected);
    assert_eq!(get(&server, "/dashboard/../Cargo.toml", &[]).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn events_tell_the_status_to_so_many_and_end_with_the_server() {
    let config = Config {
        http: HttpConfig {
            dashboard: DashboardConfig {
                viewers_max: 1.try_into().unwrap(),
                ..DashboardConfig::default()
            },
            ..HttpConfig::default()
        },
        ..Config::default()
    };
    let server = Server::with(config).await;
    let (mut viewer, status) = first_event(&server, &[]).await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    for member in [
        "grade",
        "all",
        "tools",
        "alerts",
        "caches",
        "pools",
        "dependencies",
        "slow",
    ] {
        assert!(!status[member].is_null(), "{member}: {status}");
    }
    let (refused, says) = get(&server, "/api/events", &[]).await;
    assert_eq!(refused, 503, "{says}");
    assert!(says.contains("viewers_max"), "{says}");
    let next = within("another event", viewer.chunk()).await.unwrap();
    assert!(next.is_some());
    // A viewer does not hold up the end.
    server.stop().await;
    viewer.closed().await;
}

#[tokio::test]
async fn caches_are_cleared_by_whoever_shows_an_admins_token_and_by_nobody_else() {
    let callers = [("local", Scope::Admin), ("local", Scope::Write)];
    let (server, tokens) = Server::with_callers(Config::default(), &callers).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let added = client
        .ok("memory_add", json!({"content": "kept in a cache"}))
        .await;
    let id = added["id"].as_str().unwrap().to_owned();
    let cached = async |client: &mut Client| {
        let result = client.call("memory_get", json!({"id": id})).await;
        result["_meta"]["cached"].as_bool().unwrap()
    };
    cached(&mut client).await;
    assert!(cached(&mut client).await, "it was read before");

    let all = json!({"all": true});
    assert_eq!(clear(&server, None, &all).await.0, 401);
    assert_eq!(clear(&server, Some(&tokens[1]), &all).await.0, 403);
    assert_eq!(
        clear(&server, Some(&tokens[0]), &json!({"nothing": 1}))
            .await
            .0,
        400
    );
    assert!(cached(&mut client).await, "nothing was cleared");

    for wish in [
        all,
        json!({"key": id}),
        json!({"tag": format!("memory:{id}")}),
        json!({"pattern": "m/*"}),
    ] {
        let (status, body) = clear(&server, Some(&tokens[0]), &wish).await;
        assert_eq!(status, 200, "{wish}: {body}");
        assert!(body.contains("cleared: memory"), "{wish}: {body}");
        assert!(!cached(&mut client).await, "{wish}");
        assert!(cached(&mut client).await, "{wish}: it is kept anew");
    }
    for other in [
        json!({"key": "another"}),
        json!({"pattern": "x*"}),
        json!({"tag": "another"}),
    ] {
        clear(&server, Some(&tokens[0]), &other).await;
        assert!(
            cached(&mut client).await,
            "{other} has nothing to do with it"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_benchmark_from_inside_measures_five_sections_and_leaves_nothing() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let latest = get(&server, "/api/benchmark", &[]).await;
    assert_eq!(latest, (200, r#"{"latest":null}"#.to_owned()));
    let arguments = json!({"samples_per_operation": 20, "include_validation": true});
    let report = client.ok("run_performance_benchmark", arguments).await;
    let sections = report["sections"].as_array().unwrap();
    let names: Vec<_> = sections.iter().map(|section| &section["section"]).collect();
    assert_eq!(
        names,
        [
            "mcp_operations",
            "store",
            "cache",
            "end_to_end",
            "concurrent"
        ]
    );
    for section in sections {
        assert_eq!(section["wrong"], json!([]), "{section}");
        for operation in section["operations"].as_array().unwrap() {
            assert_eq!(operation["errors"], 0, "{section}");
            assert!(operation["samples"].as_u64().unwrap() >= 20, "{section}");
            let ms = |name: &str| operation[name].as_f64().unwrap();
            assert!(
                0.0 < ms("p50_ms") && ms("p50_ms") <= ms("p95_ms"),
                "{operation}"
            );
            assert!(
                ms("p95_ms") <= ms("p99_ms") && ms("p99_ms") <= ms("max_ms"),
                "{operation}"
            );
        }
    }
    let cached = |section: usize, name: &str| {
        let operations = sections[section]["operations"].as_array().unwrap();
        let found = operations.iter().find(|found| found["operation"] == name);
        found.unwrap()["cached"].as_f64().unwrap()
    };
    assert_eq!(cached(1, "get"), 0.0, "the store is past the cache");
    assert!(cached(2, "get") > 0.9, "the cache answers");
    assert_eq!(report["memories_left_behind"], 0);
    let found = client
        .ok(
            "memory_search",
            json!({"query": "deployment decision recalled"}),
        )
        .await;
    assert_eq!(found["memories"], json!([]));
    let (_, kept) = get(&server, "/api/benchmark", &[]).await;
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["latest"]["began_at"], report["began_at"]);
    let refused = client
        .call(
            "run_performance_benchmark",
            json!({"samples_per_operation": 0}),
        )
        .await;
    assert_eq!(refused["isError"], true, "{refused}");
    server.stop().await;
}
