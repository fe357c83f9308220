//! MessagePack in the place of JSON: a client that speaks nothing else, through all six tools.

use mcp_server::config::HttpConfig;
use serde_json::{Value, json};

use super::assert_alive;
use crate::support::{
    http::Http,
    mcp::{modern, modern_headers},
    server::Server,
};

const MSGPACK: (&str, &str) = ("Content-Type", "application/msgpack");
const ACCEPT: (&str, &str) = ("Accept", "application/msgpack");

/// Sends a message and reads the answer, both as MessagePack.
async fn exchange(connection: &mut Http, message: &Value) -> (u16, Value) {
    let body = rmp_serde::to_vec(message).unwrap();
    let mut headers = modern_headers(message);
    headers.retain(|(name, _)| !["Content-Type", "Accept"].contains(name));
    headers.extend([MSGPACK, ACCEPT]);
    connection.request("POST", "/mcp", &headers, body).await;
    let head = connection.head().await;
    assert_eq!(
        head.header("content-type"),
        Some("application/msgpack"),
        "{head:?}"
    );
    let body = connection.bytes_of(&head).await;
    (head.status, rmp_serde::from_slice(&body).unwrap())
}

async fn ok(connection: &mut Http, tool: &str, arguments: Value) -> Value {
    let call = json!({"name": tool, "arguments": arguments});
    let (status, mut answer) = exchange(connection, &modern(1, "tools/call", &call)).await;
    assert_eq!(
        (status, &answer["result"]["isError"]),
        (200, &json!(false)),
        "{tool}: {answer}"
    );
    answer["result"]["structuredContent"].take()
}

#[tokio::test]
async fn a_client_that_speaks_nothing_else_reaches_all_tools() {
    for front in [true, false] {
        let config = HttpConfig {
            front,
            ..HttpConfig::default()
        };
        let server = Server::memory(config).await;
        let mut connection = Http::connect(server.address).await;
        let metadata = json!({"n": [1, -2, 2.5, null, true, u64::MAX], "ü": {"deep": {}}});
        let memory = json!({"content": "a walrus \u{0}\"\n", "tags": ["t"], "metadata": metadata});
        let added = ok(&mut connection, "memory_add", memory).await;
        let id = &added["id"];
        let got = ok(&mut connection, "memory_get", json!({"id": id})).await;
        assert_eq!(
            (&got["content"], &got["metadata"]),
            (&json!("a walrus \u{0}\"\n"), &metadata)
        );
        let found = ok(&mut connection, "memory_search", json!({"query": "walrus"})).await;
        assert_eq!(found["memories"][0]["id"], *id);
        let update = json!({"id": id, "content": "two walruses"});
        let updated = ok(&mut connection, "memory_update", update).await;
        assert_eq!(updated["version"], 2);
        let operations = json!([{"type": "get", "data": {"id": id}}]);
        let batch = ok(
            &mut connection,
            "memory_batch",
            json!({"operations": operations}),
        )
        .await;
        assert_eq!(batch["results"][0]["ok"]["content"], "two walruses");
        let deleted = ok(&mut connection, "memory_delete", json!({"id": id})).await;
        assert_eq!(deleted["deleted"], true);
        let (status, listed) =
            exchange(&mut connection, &modern(2, "tools/list", &json!({}))).await;
        assert_eq!((status, &listed["id"]), (200, &json!(2)));
        // An error is an answer, too.
        let (status, error) = exchange(&mut connection, &modern(3, "nope", &json!({}))).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (404, &json!(-32601)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn each_direction_is_chosen_by_itself() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let message = modern(1, "tools/list", &json!({}));
    let packed = rmp_serde::to_vec(&message).unwrap();
    let mut headers = modern_headers(&message);
    headers.retain(|(name, _)| *name != "Content-Type");
    headers.push(MSGPACK);
    connection.request("POST", "/mcp", &headers, &packed).await;
    let answer = connection.response().await;
    assert_eq!(
        (answer.status(), &answer.message()["id"]),
        (200, &json!(1)),
        "{answer:?}"
    );
    let mut headers = modern_headers(&message);
    headers.retain(|(name, _)| *name != "Accept");
    headers.push(("Accept", "text/html;q=0.1, application/x-msgpack;q=0.9"));
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    let head = connection.head().await;
    let body = connection.bytes_of(&head).await;
    let answer: Value = rmp_serde::from_slice(&body).unwrap();
    assert_eq!((head.status, &answer["id"]), (200, &json!(1)));
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let config = HttpConfig {
        body_bytes_max: 10_000,
        json_depth_max: 30,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut deep = vec![0x91; 100];
    deep.push(0xc0);
    let nulls = rmp_serde::to_vec(&vec![(); 5_000]).unwrap();
    for (body, status) in [
        (vec![], 400),
        (vec![0xc1], 400),
        (b"{\"jsonrpc\": \"2.0\"}".to_vec(), 400),
        (vec![0xdd, 0xff, 0xff, 0xff, 0xff], 400),
        (deep, 400),
        // Small as it comes, too large as JSON.
        (nulls, 413),
        (vec![0; 10_001], 413),
    ] {
        let mut connection = Http::connect(server.address).await;
        let message = modern(1, "tools/list", &json!({}));
        let mut headers = modern_headers(&message);
        headers.retain(|(name, _)| *name != "Content-Type");
        headers.push(MSGPACK);
        connection.request("POST", "/mcp", &headers, &body).await;
        let answer = connection.response().await;
        assert_eq!(answer.status(), status, "{answer:?}");
        assert!(answer.message()["error"].is_object(), "{answer:?}");
    }
    assert_alive(server.address).await;
}
