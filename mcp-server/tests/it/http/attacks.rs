//! Bytes that no client of good will sends: what could be read in two ways is refused, and who only
//! holds on to a connection is hung up.

use std::time::Duration;

use mcp_server::config::{HttpConfig, RateLimitConfig};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{assert_alive, assert_answers, raw};
use crate::support::{
    http::Http,
    mcp::{modern, modern_headers, post_modern},
    server::Server,
    until,
};

const HEAD: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Whoever stands in front of the server may understand these otherwise than the server does; then a
/// second request would hide in the first one's body.
#[tokio::test]
async fn no_request_hides_in_another() {
    let server = Server::memory(HttpConfig::default()).await;
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\x00z\r\n",
        "X: y\rz\r\n",
        "X y: z\r\n",
        ": z\r\n",
    ] {
        let mut connection = Http::connect(server.address).await;
        let bytes = format!("{HEAD}{framing}\r\n0\r\n\r\n{HIDDEN}");
        connection.send(bytes).await;
        let answers = connection.closed().await;
        let count = answers.matches("HTTP/1.1 ").count();
        let refused = answers.is_empty() || answers.starts_with("HTTP/1.1 400");
        assert!(refused && count <= 1, "{framing:?}: {answers}");
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn chunks_that_lie_end_the_connection() {
    let server = Server::memory(HttpConfig::default()).await;
    for chunks in [
        "ffffffffffffffffff\r\n",
        "-1\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "\r\n\r\n",
        "1;\nx\r\n0\r\n\r\n",
        "5 \r\n\r\nhello",
        "g\r\n",
    ] {
        let mut connection = Http::connect(server.address).await;
        let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}");
        connection.send(head).await;
        let answers = connection.closed().await;
        assert!(!answers.contains("200 OK"), "{chunks:?}: {answers}");
        assert!(
            answers.matches("HTTP/1.1 ").count() <= 1,
            "{chunks:?}: {answers}"
        );
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn heads_that_are_none_are_refused() {
    let config = HttpConfig {
        header_bytes_max: 8_192,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    for (bytes, status) in [
        (
            format!(
                "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
                "y".repeat(10_000)
            ),
            "431",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
            "431",
        ),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "y".repeat(10_000)
            ),
            "4",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400"),
        ("GET /healthz\r\n".to_owned(), "400"),
        (
            "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned(),
            "400",
        ),
        (
            "GET /health\x01z HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "400",
        ),
        ("{\"jsonrpc\":\"2.0\"}\r\n\r\n".to_owned(), "400"),
    ] {
        let mut connection = Http::connect(server.address).await;
        connection.send(&bytes).await;
        let answer = connection.closed().await;
        let start = format!("HTTP/1.1 {status}");
        let shown: String = bytes.chars().take(60).collect();
        assert!(
            answer.is_empty() || answer.starts_with(&start),
            "{shown}: {answer}"
        );
        assert!(!answer.contains("200 OK"), "{shown}: {answer}");
    }
    assert_alive(server.address).await;
}

/// A hundred of each kind who only hold on to their connection: all are gone a moment after the
/// deadline, and who calls meanwhile is answered.
#[tokio::test]
async fn who_only_holds_on_is_hung_up() {
    const EACH: usize = 100;
    const DEADLINE: Duration = Duration::from_secs(2);
    let config = HttpConfig {
        header_timeout: DEADLINE,
        body_timeout: DEADLINE,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let address = server.address;
    let started = Instant::now();
    let mut held = JoinSet::new();
    for _ in 0..EACH {
        let half_head = "POST /mcp HTTP/1.1\r\nHost: loc";
        let half_body = format!("{HEAD}Content-Length: 100\r\n\r\n{{\"jsonrpc\"");
        for bytes in ["", half_head, half_body.as_str()] {
            let mut connection = Http::connect(address).await;
            connection.send(bytes).await;
            held.spawn(async move { connection.closed().await });
        }
        let mut connection = Http::connect(address).await;
        connection
            .send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"))
            .await;
        held.spawn(async move {
            // A chunk every now and then does not keep the deadline from coming.
            while connection.try_send("1\r\n \r\n").await.is_ok() {
                tokio::time::sleep(DEADLINE / 10).await;
            }
            String::new()
        });
    }
    assert_alive(address).await;
    let mut gone = 0;
    while let Some(last) = held.join_next().await {
        let last = last.unwrap();
        assert!(
            last.is_empty() || last.starts_with("HTTP/1.1 408"),
            "{last}"
        );
        gone += 1;
    }
    eprintln!(
        "{gone} of {} gone after {:?}, deadline {DEADLINE:?}",
        4 * EACH,
        started.elapsed()
    );
    assert_eq!(gone, 4 * EACH);
    assert_alive(address).await;
    let stats = server.app().http_stats();
    assert!(stats.bodies_too_slow >= 2 * EACH as u64, "{stats:?}");
    until("all places are free", async || {
        let stats = server.app().http_stats();
        (stats.connections - stats.connections_closed <= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_does_not_read_is_hung_up_and_who_reads_slowly_is_not() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let config = HttpConfig {
        write_timeout: PATIENCE,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut writer = Http::connect(server.address).await;
    // More than the kernel takes for a client that does not read.
    for _ in 0..4 {
        let content = format!("needle {}", "\"\n".repeat(450_000));
        let add = json!({"name": "memory_add", "arguments": {"content": content}});
        let added = post_modern(&mut writer, &modern(1, "tools/call", &add)).await;
        assert_eq!(added.message()["result"]["isError"], false);
    }
    let search = json!({"name": "memory_search", "arguments": {"query": "needle"}});
    let message = modern(1, "tools/call", &search);
    let headers = modern_headers(&message);
    let mut silent = Http::connect_with_small_buffer(server.address).await;
    let mut slow = Http::connect_with_small_buffer(server.address).await;
    for connection in [&mut silent, &mut slow] {
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
    }
    // A megabyte a second and more, in small steps, takes longer than anybody's patience.
    let head = slow.head().await;
    let whole: usize = head.header("content-length").unwrap().parse().unwrap();
    let mut read = 0;
    let started = Instant::now();
    while read < whole {
        let step = (whole - read).min(128 * 1024);
        slow.exactly(step).await.expect("who reads is not hung up");
        read += step;
        if started.elapsed() < 2 * PATIENCE {
            tokio::time::sleep(PATIENCE / 10).await;
        }
    }
    assert!(started.elapsed() > 2 * PATIENCE, "{:?}", started.elapsed());
    until("the silent one is hung up", async || {
        (server.app().http_stats().slow_readers == 1).then_some(())
    })
    .await;
    let got = silent.closed().await;
    assert!(got.len() < whole, "{} of {whole}", got.len());
    assert_alive(server.address).await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let config = HttpConfig {
        rate_limit: RateLimitConfig {
            per_second: 2,
            burst: 5,
            ..RateLimitConfig::default()
        },
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    let list = modern(1, "tools/list", &json!({}));
    let (mut answered, mut refused) = (0, None);
    for _ in 0..20 {
        let response = post_modern(&mut connection, &list).await;
        match response.status() {
            200 => answered += 1,
            _ => refused = Some(response),
        }
    }
    assert!((5..=15).contains(&answered), "{answered}");
    let refused = refused.expect("twenty are too many");
    assert_eq!(refused.status(), 429, "{refused:?}");
    assert_eq!(refused.head.header("retry-after"), Some("1"), "{refused:?}");
    let error = &refused.message()["error"];
    assert_eq!(error["code"], -32000, "{error}");
    assert_eq!(error["data"]["code"], "rate_limited", "{error}");
    let wait = error["data"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=500).contains(&wait), "{error}");
    // Who watches over the server is not counted.
    for _ in 0..20 {
        assert_eq!(connection.get("/healthz", &[]).await.status(), 200);
    }
    tokio::time::sleep(Duration::from_millis(wait + 50)).await;
    assert_answers(&mut connection).await;
    assert_eq!(server.app().http_stats().rate_limited, 20 - answered);
}

#[tokio::test]
async fn what_is_nested_too_deep_is_refused() {
    let config = HttpConfig {
        json_depth_max: 20,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    for (depth, status) in [(15, 200), (16, 400), (10_000, 400)] {
        // The message, its parameters, its arguments and the metadata lie around it.
        let mut message = modern(
            1,
            "tools/call",
            &json!({"name": "memory_add", "arguments": {"content": "x", "metadata": {"n": 0}}}),
        );
        let headers = message.clone();
        message["params"]["arguments"]["metadata"]["n"] = json!("HERE");
        let nested = format!("{}{}", "[".repeat(depth + 1), "]".repeat(depth + 1));
        let body = message.to_string().replace("\"HERE\"", &nested);
        connection
            .request("POST", "/mcp", &modern_headers(&headers), body)
            .await;
        let response = connection.response().await;
        assert_eq!(response.status(), status, "{depth}: {response:?}");
        if status == 400 {
            assert_eq!(response.code(), Some(-32600), "{response:?}");
            assert_eq!(response.message()["id"], 1, "{response:?}");
        }
    }
    // Brackets in a text are not nested.
    let text = json!({"name": "memory_add", "arguments": {"content": "[".repeat(1_000)}});
    let response = post_modern(&mut connection, &modern(1, "tools/call", &text)).await;
    assert_eq!(response.status(), 200, "{response:?}");
    assert_eq!(server.app().http_stats().too_deep, 2);
    let refused = raw(server.address, "GET /mcp HTTP/1.1\r\n\r\n").await;
    assert_eq!(refused.status(), 403);
}
