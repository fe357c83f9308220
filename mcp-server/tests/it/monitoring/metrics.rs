//! `/metrics`: what was counted, in the form that a scraper asks for.

use mcp_server::config::HttpConfig;
use serde_json::json;

use crate::support::{
    http::Http,
    mcp::{modern, post_modern},
    server::Server,
};

const OPEN_METRICS: (&str, &str) = ("Accept", "application/openmetrics-text; version=1.0.0");

async fn served() -> Server {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let add = json!({"name": "memory_add", "arguments": {"content": "a walrus"}});
    post_modern(&mut connection, &modern(1, "tools/call", &add)).await;
    let search = json!({"name": "memory_search", "arguments": {"query": "walrus"}});
    for id in 2..12 {
        post_modern(&mut connection, &modern(id, "tools/call", &search)).await;
    }
    let method = modern(20, "memory/search", &json!({"query": "walrus"}));
    post_modern(&mut connection, &method).await;
    server
}

/// The value of a row.
fn value(text: &str, row: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(row))?;
    line.trim().parse().ok()
}

#[tokio::test]
async fn what_was_counted_is_told_once_and_exactly() {
    let server = served().await;
    let mut connection = Http::connect(server.address).await;
    let scraped = connection.get("/metrics", &[OPEN_METRICS]).await;
    assert_eq!(scraped.status(), 200);
    let kind = scraped.head.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = &scraped.body;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let labels = "method=\"tools/call\",tool=\"memory_search\",client_type=\"other\"";
    let name = "mcp_server_operation_duration_seconds";
    assert_eq!(
        value(text, &format!("{name}_count{{{labels}}} ")),
        Some(10.0)
    );
    let all = format!("{name}_bucket{{le=\"+Inf\",{labels}}} ");
    assert_eq!(value(text, &all), Some(10.0), "{text}");
    let method = "method=\"memory/search\",tool=\"memory_search\",client_type=\"other\"";
    assert_eq!(
        value(text, &format!("{name}_count{{{method}}} ")),
        Some(1.0)
    );
    let cache = "{cache=\"memory\",tier=\"l1\"} ";
    let hits = value(text, &format!("mcp_cache_hits_total{cache}")).unwrap();
    let misses = value(text, &format!("mcp_cache_misses_total{cache}")).unwrap();
    assert_eq!((hits, misses), (10.0, 1.0));
    for name in [
        "mcp_connector_sync_duration_seconds_count ",
        "mcp_batch_queue_depth{batch=\"memory_writes\"} ",
        "mcp_lane_queue_depth{client_type=\"cursor\"} ",
        "mcp_breaker_open{breaker=\"memory_store\"} ",
        "mcp_sessions_open ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ] {
        assert!(value(text, name).is_some(), "{name}: {text}");
    }
    // Each family once.
    let mut families: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE ")).collect();
    families.sort_unstable();
    let all = families.len();
    families.dedup();
    assert_eq!(families.len(), all);
    server.stop().await;
}

#[tokio::test]
async fn an_older_scraper_gets_the_older_form() {
    let server = served().await;
    let mut connection = Http::connect(server.address).await;
    let scraped = connection.get("/metrics", &[]).await;
    let kind = scraped.head.header("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = &scraped.body;
    assert!(
        !text.contains("# EOF") && !text.contains("# UNIT"),
        "{text}"
    );
    assert!(
        text.contains("# TYPE mcp_cache_hits_total counter\n"),
        "{text}"
    );
    server.stop().await;
}
