//! What a client is told of the cache, and how it passes it by.

use serde_json::{Value, json};

use crate::support::{
    mcp::{Client, Era},
    process::{Process, folder},
};

#[tokio::test]
async fn every_result_says_how_it_was_answered_and_may_pass_the_cache_by() {
    for era in [Era::Modern, Era::Legacy] {
        let dir = folder();
        check(Client::stdio(era, dir.path()).await).await;
        let dir = folder();
        let server = Process::serve(dir.path()).await;
        check(Client::http(era, server.address).await).await;
    }
}

async fn check(mut client: Client) {
    let name = client.name();
    let added = client
        .ok("memory_add", json!({"content": "a wagtail"}))
        .await;
    let bypass = json!({"mcp-server/bypass-cache": true});
    for (tool, arguments) in [
        ("search", json!({"query": "wagtail"})),
        ("get", json!({"id": added["id"]})),
    ] {
        let call = json!({"name": format!("memory_{tool}"), "arguments": arguments});
        let method = format!("memory/{tool}");
        // The first one fills the cache, if it is not filled yet.
        answered(&mut client, "tools/call", &call, &json!({})).await;
        for (meta, expect) in [
            (json!({}), true),
            (bypass.clone(), false),
            (json!({}), true),
        ] {
            let cached = answered(&mut client, "tools/call", &call, &meta).await;
            assert_eq!(cached, expect, "{name}: {call}, {meta}");
            let cached = answered(&mut client, &method, &arguments, &meta).await;
            assert_eq!(cached, expect, "{name}: {method}, {meta}");
        }
    }
}

/// Whether the answer was in the cache; checks the rest of what it says.
async fn answered(client: &mut Client, method: &str, params: &Value, meta: &Value) -> bool {
    let mut params = params.clone();
    params["_meta"] = meta.clone();
    let response = client.request(method, params).await;
    let meta = &response["result"]["_meta"];
    let elapsed = meta["response_time_ms"].as_f64().expect("a number");
    assert_eq!(meta["stale"], false, "{response}");
    assert_eq!(
        meta["performance_target_met"],
        elapsed <= 50.0,
        "{response}"
    );
    meta["cached"].as_bool().expect("a bool")
}
