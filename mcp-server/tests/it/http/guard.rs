//! Who may call: `Host` and `Origin` on every path, and the methods of each.

use mcp_server::config::HttpConfig;

use super::{assert_alive, raw};
use crate::support::{
    http::Http,
    mcp::{ACCEPT, JSON, LEGACY, MODERN},
    server::Server,
};

const PATHS: &[&str] = &["/mcp", "/healthz", "/readyz", "/", "/nonsense"];

#[tokio::test]
async fn a_foreign_or_missing_host_is_refused_on_every_path() {
    let server = Server::memory(HttpConfig::default()).await;
    for path in PATHS {
        for method in ["GET", "POST", "DELETE"] {
            for host in [
                "Host: evil.example\r\n",
                "Host: localhost.evil.example\r\n",
                "Host: user@localhost\r\n",
                "Host: localhost:port\r\n",
                "Host:\r\n",
                "",
                "Host: localhost\r\nHost: localhost\r\n",
                "Host: localhost\r\nHost: evil.example\r\n",
            ] {
                let request =
                    format!("{method} {path} HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n");
                let response = raw(server.address, &request).await;
                assert_eq!(response.status(), 403, "{request}: {response:?}");
            }
        }
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn an_absolute_target_must_name_the_same_host() {
    let server = Server::memory(HttpConfig::default()).await;
    for (target, host, status) in [
        ("http://localhost/healthz", "localhost", 200),
        ("http://evil.example/healthz", "localhost", 403),
        ("http://localhost/healthz", "evil.example", 403),
        ("http://localhost:1/healthz", "localhost", 403),
        ("http://evil.example/healthz", "evil.example", 403),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = raw(server.address, &request).await;
        assert_eq!(response.status(), status, "{request}: {response:?}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_on_every_path() {
    let config = HttpConfig {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let own = format!("http://{}", server.address);
    for path in PATHS {
        for origin in [
            "http://evil.example",
            "https://evil.example",
            "null",
            "",
            "http://localhost",
            "https://app.example.evil.example",
            "file://",
        ] {
            let mut connection = Http::connect(server.address).await;
            let response = connection.get(path, &[("Origin", origin)]).await;
            assert_eq!(response.status(), 403, "{path} {origin}: {response:?}");
            let mut connection = Http::connect(server.address).await;
            let headers = [JSON, ACCEPT, ("Origin", origin)];
            connection.request("POST", path, &headers, "{}").await;
            let response = connection.response().await;
            assert_eq!(response.status(), 403, "{path} {origin}: {response:?}");
        }
        // Permission is said only to pages that were allowed by name.
        let app = Some("https://app.example");
        for (origin, told) in [(own.as_str(), None), ("https://app.example", app)] {
            let mut connection = Http::connect(server.address).await;
            let response = connection.get(path, &[("Origin", origin)]).await;
            assert_ne!(response.status(), 403, "{path} {origin}: {response:?}");
            let header = response.head.header("access-control-allow-origin");
            assert_eq!(header, told, "{path} {origin}");
        }
        let two = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {own}\r\nOrigin: {own}\r\n\r\n"
        );
        assert_eq!(raw(server.address, two).await.status(), 403);
    }
}

#[tokio::test]
async fn an_allowed_page_gets_leave_to_call() {
    let config = HttpConfig {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let ask = async |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,mcp-method"),
        ];
        let mut connection = Http::connect(server.address).await;
        connection.request("OPTIONS", "/mcp", &headers, "").await;
        connection.head().await
    };
    let leave = ask("https://app.example").await;
    assert_eq!(leave.status, 200);
    for (name, expect) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-headers", "content-type,mcp-method"),
        ("access-control-allow-methods", "GET,POST,DELETE"),
    ] {
        assert_eq!(leave.header(name), Some(expect));
    }
    assert_eq!(ask("https://evil.example").await.status, 403);
}

#[tokio::test]
async fn each_path_has_its_methods() {
    let server = Server::memory(HttpConfig::default()).await;
    let legacy = ("MCP-Protocol-Version", LEGACY);
    let modern = ("MCP-Protocol-Version", MODERN);
    let stream = ("Accept", "text/event-stream");
    let unknown = ("Mcp-Session-Id", "unknown");
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let rows: &[(&str, &str, Headers<'_>, u16)] = &[
        ("GET", "/healthz", &[], 200),
        ("GET", "/readyz", &[], 200),
        ("HEAD", "/healthz", &[], 200),
        ("POST", "/healthz", &[], 405),
        ("GET", "/nonsense", &[], 404),
        ("GET", "/mcp/", &[], 404),
        ("GET", "/mcp", &[], 406),
        ("GET", "/mcp", &[stream, modern], 405),
        ("GET", "/mcp", &[stream, legacy], 400),
        ("GET", "/mcp", &[stream], 400),
        ("GET", "/mcp", &[stream, legacy, unknown], 404),
        ("DELETE", "/mcp", &[modern], 405),
        ("DELETE", "/mcp", &[legacy], 400),
        ("DELETE", "/mcp", &[legacy, unknown], 404),
        ("PUT", "/mcp", &[], 405),
        ("PATCH", "/mcp", &[modern], 405),
        ("OPTIONS", "/mcp", &[], 405),
    ];
    for (method, path, headers, status) in rows {
        let mut connection = Http::connect(server.address).await;
        connection.request(method, path, headers, "").await;
        let head = connection.head().await;
        let what = format!("{method} {path} {headers:?}: {head:?}");
        assert_eq!(head.status, *status, "{what}");
        assert_eq!(head.header("access-control-allow-origin"), None, "{what}");
        if *status == 405 {
            assert!(head.header("allow").is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn health_is_reported_part_by_part() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let health = connection.get("/healthz", &[]).await;
    assert_eq!(health.message()["status"], "ok");
    let ready = connection.get("/readyz", &[]).await;
    assert_eq!(ready.message()["status"], "ok");
    assert_eq!(ready.message()["parts"]["memory_store"]["status"], "ok");
}
