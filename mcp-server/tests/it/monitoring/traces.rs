//! A trace that a client began goes on to other servers.

use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{Client, Era, modern, modern_headers},
    upstream::{Fake, gateway},
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NONE: &str = "00-zzz-00f067aa0ba902b7-01";

/// The trace that an upstream was told, which has a parent of its own.
fn is_child(answer: &Value) -> bool {
    let told = answer["structuredContent"]["traceparent"].as_str();
    told.is_some_and(|told| {
        told.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
            && told.ends_with("-01")
            && told != TRACE
    })
}

#[tokio::test]
async fn a_trace_goes_on_from_the_head_and_from_the_meta() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("far", connector)]).await;
    let mut connection = Http::connect(server.address).await;
    let mut number = 0;
    let mut call = async |header: Option<&str>, meta: Option<&str>| {
        number += 1;
        // Each one another call: equal ones at once would share one.
        let mut params = json!({"name": "echo", "arguments": {"number": number}});
        if let Some(meta) = meta {
            params["_meta"] = json!({"traceparent": meta});
        }
        let message = modern(number, "tools/call", &params);
        let mut headers = modern_headers(&message);
        headers.extend(header.map(|header| ("traceparent", header)));
        let body = message.to_string();
        connection.request("POST", "/mcp", &headers, body).await;
        connection.response().await.message()["result"].take()
    };
    assert!(is_child(&call(Some(TRACE), None).await));
    assert!(is_child(&call(None, Some(TRACE)).await));
    // What is none is no error.
    for answer in [call(Some(NONE), None).await, call(None, None).await] {
        assert_eq!(
            answer["structuredContent"]["traceparent"],
            Value::Null,
            "{answer}"
        );
        assert_eq!(answer["isError"], false, "{answer}");
    }
    // In a session, too.
    let mut client = Client::http(Era::Legacy, server.address).await;
    let params = json!({"name": "echo", "arguments": {}, "_meta": {"traceparent": TRACE}});
    let answered = client.request("tools/call", params).await;
    assert!(is_child(&answered["result"]), "{answered}");
    server.stop().await;
    upstream.stop().await;
}
