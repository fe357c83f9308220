//! Bodies and their headers.

use std::time::Duration;

use mcp_server::config::HttpConfig;
use serde_json::{Value, json};

use super::{assert_alive, assert_answers, raw};
use crate::support::{
    http::Http,
    mcp::{ACCEPT, JSON, MODERN, modern, modern_headers, post_modern},
    server::Server,
};

#[tokio::test]
async fn what_is_no_message_is_answered_by_its_code() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let deep = "[".repeat(100_000);
    let rows: &[(&[u8], i64, Value)] = &[
        (b"", -32700, Value::Null),
        (b"{", -32700, Value::Null),
        (b"not json", -32700, Value::Null),
        (
            br#"{"jsonrpc": "2.0", "id": 1, "method": "a",}"#,
            -32700,
            Value::Null,
        ),
        (
            br#"{"jsonrpc": "2.0", "id": 1, "method": "a"} {}"#,
            -32700,
            Value::Null,
        ),
        (
            b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"\xff\"}",
            -32700,
            Value::Null,
        ),
        (b"\xff\xfe{\x00}\x00", -32700, Value::Null),
        (deep.as_bytes(), -32700, Value::Null),
        (b"[]", -32600, Value::Null),
        (
            br#"[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]"#,
            -32600,
            Value::Null,
        ),
        (b"null", -32600, Value::Null),
        (b"5", -32600, Value::Null),
        (b"\"text\"", -32600, Value::Null),
        (b"{}", -32600, Value::Null),
        (br#"{"id": 1, "method": "ping"}"#, -32600, json!(1)),
        (
            br#"{"jsonrpc": "1.0", "id": "a", "method": "ping"}"#,
            -32600,
            json!("a"),
        ),
        (br#"{"jsonrpc": "2.0", "id": 1}"#, -32600, json!(1)),
        (
            br#"{"jsonrpc": "2.0", "id": null, "method": "ping"}"#,
            -32600,
            Value::Null,
        ),
        (
            br#"{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}"#,
            -32600,
            Value::Null,
        ),
        (
            br#"{"jsonrpc": "2.0", "id": [], "method": "ping"}"#,
            -32600,
            Value::Null,
        ),
        (
            br#"{"jsonrpc": "2.0", "id": true, "method": "ping"}"#,
            -32600,
            Value::Null,
        ),
        (
            br#"{"jsonrpc": "2.0", "id": 1, "method": 5}"#,
            -32600,
            json!(1),
        ),
        (
            br#"{"jsonrpc": "2.0", "id": 1, "method": "a", "params": 5}"#,
            -32600,
            json!(1),
        ),
        (
            br#"{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "a"}"#,
            -32600,
            Value::Null,
        ),
    ];
    for (body, code, id) in rows {
        connection
            .request("POST", "/mcp", &[JSON, ACCEPT], body)
            .await;
        let response = connection.response().await;
        let body = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!(response.status(), 400, "{body}: {response:?}");
        let content_type = response.head.header("content-type");
        assert_eq!(content_type, Some("application/json"), "{body}");
        assert_eq!(response.code(), Some(*code), "{body}: {response:?}");
        assert_eq!(response.message()["id"], *id, "{body}: {response:?}");
    }
    // All of that was on one connection, which still works.
    assert_answers(&mut connection).await;
}

#[tokio::test]
async fn deep_nesting_breaks_nothing() {
    let server = Server::memory(HttpConfig::default()).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 1_000, 100_000] {
            let arguments = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let mut message = modern(
                1,
                "tools/call",
                &json!({"name": "memory_get", "arguments": 5}),
            );
            let headers = message.clone();
            message["params"]["arguments"] = json!("HERE");
            let body = message.to_string().replace("\"HERE\"", &arguments);
            let mut connection = Http::connect(server.address).await;
            let headers = modern_headers(&headers);
            connection.request("POST", "/mcp", &headers, body).await;
            let response = connection.response().await;
            let message = response.message();
            assert!(
                message["error"].is_object() || message["result"]["isError"] == true,
                "{depth}: {response:?}"
            );
        }
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn odd_ids_come_back_as_they_were() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let long = "i".repeat(10_000);
    for id in [
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("1"),
        json!("\u{0}\"\\/日本"),
        json!(long),
    ] {
        let mut message = modern(1, "tools/list", &json!({}));
        message["id"] = id.clone();
        let response = post_modern(&mut connection, &message).await;
        assert_eq!(response.status(), 200, "{id}: {response:?}");
        assert_eq!(response.message()["id"], id);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let config = HttpConfig {
        body_bytes_max: 1_000,
        // How long the refused may still send.
        body_timeout: Duration::from_millis(200),
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let head = |extra: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{extra}\r\n"
        )
    };
    let at_once = [
        // Refused before the first byte of the body is there.
        head("Content-Length: 1001\r\n"),
        head("Content-Length: 99999999999\r\n"),
        head("Content-Length: 1001\r\nExpect: 100-continue\r\n"),
    ];
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let chunked = [head("Transfer-Encoding: chunked\r\n") + &chunk];
    for bytes in at_once.iter().chain(&chunked) {
        let mut connection = Http::connect(server.address).await;
        connection.send(bytes).await;
        let response = connection.response().await;
        assert_eq!(response.status(), 413, "{bytes}: {response:?}");
        let message = response.message();
        let text = message["error"]["message"].as_str().unwrap();
        assert!(text.contains("http.body_bytes_max"), "{text}");
        connection.closed().await;
    }
    assert_alive(server.address).await;
}

/// As most clients do: the whole body first, then the answer.
#[tokio::test]
async fn ten_megabytes_are_refused_where_the_client_can_read_it() {
    let server = Server::memory(HttpConfig::default()).await;
    let content = "x".repeat(10 * 1024 * 1024);
    let params = json!({"name": "memory_add", "arguments": {"content": content}});
    let message = modern(1, "tools/call", &params);
    let headers = modern_headers(&message);
    for _ in 0..5 {
        let mut connection = Http::connect(server.address).await;
        let body = message.to_string();
        connection.request("POST", "/mcp", &headers, body).await;
        let response = connection.response().await;
        assert_eq!(response.status(), 413, "{response:?}");
        connection.closed().await;
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken() {
    let mut body = modern(1, "tools/list", &json!({})).to_string();
    let config = HttpConfig {
        body_bytes_max: 1_000,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    body.push_str(&" ".repeat(1_000 - body.len()));
    let message = serde_json::from_str(&body).unwrap();
    let mut connection = Http::connect(server.address).await;
    let headers = modern_headers(&message);
    connection.request("POST", "/mcp", &headers, body).await;
    assert_eq!(connection.response().await.status(), 200);
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let server = Server::memory(HttpConfig::default()).await;
    let body = modern(1, "tools/list", &json!({})).to_string();
    let (start, end) = body.split_at(20);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {MODERN}\r\n\
         Mcp-Method: tools/list\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
        chunk(start),
        chunk(end)
    );
    assert_eq!(raw(server.address, request).await.status(), 200);
}

#[tokio::test]
async fn only_json_is_taken_and_the_answer_must_be_wanted() {
    let server = Server::memory(HttpConfig::default()).await;
    let message = modern(1, "tools/list", &json!({}));
    for (name, value, status) in [
        ("Content-Type", "application/json; charset=utf-8", 200),
        ("Content-Type", "APPLICATION/JSON", 200),
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "application/x-www-form-urlencoded", 415),
        ("Content-Type", "multipart/form-data", 415),
        ("Content-Type", "application/jsonp", 415),
        ("Content-Type", "", 415),
        ("Content-Type-Missing", "", 415),
        ("Content-Encoding", "compress", 415),
        ("Content-Encoding", "gzip, gzip", 415),
        ("Content-Encoding", "", 415),
        ("Content-Encoding", "identity", 200),
        ("Accept", "text/event-stream;q=0.5, application/json", 200),
        ("Accept", "text/html", 406),
        ("Accept", "", 406),
    ] {
        let mut headers = modern_headers(&message);
        headers.retain(|(known, _)| !name.starts_with(known));
        headers.push((name, value));
        let mut connection = Http::connect(server.address).await;
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        let response = connection.response().await;
        assert_eq!(response.status(), status, "{name}: {value}: {response:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_there_twice_is_refused() {
    let server = Server::memory(HttpConfig::default()).await;
    let message = modern(1, "tools/list", &json!({}));
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("MCP-Protocol-Version", MODERN),
        ("Mcp-Method", "tools/call"),
    ] {
        let mut headers = modern_headers(&message);
        headers.push((name, value));
        let mut connection = Http::connect(server.address).await;
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        let response = connection.response().await;
        let answer = (response.status(), response.code());
        assert_eq!(answer, (400, Some(-32020)), "{name}: {response:?}");
    }
}

#[tokio::test]
async fn ambiguous_lengths_are_refused_or_end_the_connection() {
    let server = Server::memory(HttpConfig::default()).await;
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for lengths in [
        "Content-Length: 4\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 1e3\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: chunked, gzip\r\n".to_owned(),
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".to_owned(),
    ] {
        let mut connection = Http::connect(server.address).await;
        let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        connection
            .send(format!("{head}{lengths}\r\n0\r\n\r\n{hidden}"))
            .await;
        let answers = connection.closed().await;
        assert!(answers.starts_with("HTTP/1.1 400"), "{lengths}: {answers}");
        assert_eq!(
            answers.matches("HTTP/1.1").count(),
            1,
            "{lengths}: {answers}"
        );
    }
    assert_alive(server.address).await;
}
