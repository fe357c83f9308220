//! What goes along with a call to an upstream, and what its refusals become.

use serde_json::json;

use crate::support::{
    http::Http,
    mcp::{modern, modern_headers},
    raw::{Answer, Script, connector, orderly, raw},
    upstream::gateway,
    within,
};

/// What is not carried through is not offered: an upstream that may make a task of a call would.
#[tokio::test]
async fn an_upstream_hears_of_what_is_carried_through() {
    let (told, mut heard) = tokio::sync::mpsc::channel(10);
    let script = orderly(move |message| {
        let meta = &message["params"]["_meta"];
        let capabilities = meta["io.modelcontextprotocol/clientCapabilities"].clone();
        told.try_send(capabilities).unwrap();
        Answer::Result(json!({"content": []}))
    });
    let server = gateway([("raw", connector(raw(script, None).await))]).await;
    for progress in [false, true] {
        let mut message = modern(1, "tools/call", &json!({"name": "echo", "arguments": {}}));
        message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({
            "elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}},
        });
        if progress {
            message["params"]["_meta"]["progressToken"] = json!("p");
        }
        let mut connection = Http::connect(server.address).await;
        let headers = modern_headers(&message);
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        assert_eq!(connection.response().await.status(), 200);
        let capabilities = within("the call", heard.recv()).await.unwrap();
        assert!(capabilities["elicitation"].is_object(), "{capabilities}");
        assert!(capabilities["extensions"].is_null(), "{capabilities}");
    }
    server.stop().await;
}

/// Headers that repeat an argument say the same as the body, or the call is refused.
#[tokio::test]
async fn headers_that_repeat_arguments_are_held_to_them() {
    let inner = orderly(|_| Answer::Result(json!({"content": []})));
    let script: Script = std::sync::Arc::new(move |message, number| {
        let region = json!({"type": "string", "x-mcp-header": "Region"});
        match message["method"].as_str() {
            Some("tools/list") => Answer::Result(json!({
                "tools": [{"name": "echo", "inputSchema":
                           {"type": "object", "properties": {"region": region}}}],
                "ttlMs": 60_000, "cacheScope": "public",
            })),
            _ => inner(message, number),
        }
    });
    let server = gateway([("raw", connector(raw(script, None).await))]).await;
    for (header, status) in [("eu", 200), ("us", 400)] {
        let params = json!({"name": "echo", "arguments": {"region": "eu"}});
        let message = modern(1, "tools/call", &params);
        let mut headers = modern_headers(&message);
        headers.push(("Mcp-Param-Region", header));
        let mut connection = Http::connect(server.address).await;
        connection
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        let response = connection.response().await;
        assert_eq!(response.status(), status, "{}", response.body);
    }
    server.stop().await;
}

/// An upstream that misses a capability of the client says so with a status, and so does this server.
#[tokio::test]
async fn a_missing_capability_keeps_its_status() {
    let script = orderly(|message| {
        let error = json!({"code": -32021, "message": "elicitation is needed"});
        let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error}).to_string();
        let length = body.len();
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json";
        Answer::Bytes(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
    });
    let server = gateway([("raw", connector(raw(script, None).await))]).await;
    let mut connection = Http::connect(server.address).await;
    let message = modern(1, "tools/call", &json!({"name": "echo", "arguments": {}}));
    connection
        .request(
            "POST",
            "/mcp",
            &modern_headers(&message),
            message.to_string(),
        )
        .await;
    let response = connection.response().await;
    assert_eq!(response.status(), 400, "{}", response.body);
    assert_eq!(
        response.message()["error"]["code"],
        -32021,
        "{}",
        response.body
    );
    server.stop().await;
}
