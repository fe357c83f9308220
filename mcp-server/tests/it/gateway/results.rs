//! Results that are kept, and calls that are shared.

use mcp_server::upstream::ServerConfig;
use serde_json::{Value, json};

use crate::support::{
    mcp::{Client, Era},
    upstream::{Fake, gateway},
};

async fn with_policies(fake: &Fake, yaml: &str) -> (crate::support::server::Server, ServerConfig) {
    let (upstream, mut connector) = fake.serve().await;
    connector.tools = serde_saphyr::from_str(yaml).unwrap();
    (upstream, connector)
}

/// The number of the call that brought a result, and whether it was kept.
async fn echo(client: &mut Client, arguments: Value) -> (u64, bool) {
    let result = client.call("echo", arguments).await;
    let number = result["structuredContent"]["number"].as_u64();
    (number.unwrap(), result["_meta"]["cached"] == true)
}

#[tokio::test]
async fn results_are_kept_as_the_settings_say() {
    let fake = Fake::new();
    let policies = "{echo: {ttl: 1h, tags: ['repo:{owner}']}, \
                     write: {invalidates: ['repo:{owner}']}, fail: {ttl: 1h}}";
    let (upstream, connector) = with_policies(&fake, policies).await;
    let server = gateway([("fake", connector)]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let (a, b) = (json!({"owner": "a", "x": 1}), json!({"owner": "b", "x": 1}));
    assert_eq!(echo(&mut client, a.clone()).await, (1, false));
    assert_eq!(
        echo(&mut client, json!({"x": 1, "owner": "a"})).await,
        (1, true)
    );
    assert_eq!(echo(&mut client, b.clone()).await, (2, false));
    // A write to one of them invalidates that one.
    client.call("write", json!({"owner": "a"})).await;
    assert_eq!(echo(&mut client, b.clone()).await, (2, true));
    assert_eq!(echo(&mut client, a.clone()).await, (4, false));
    // Without its argument a tag cannot be told: nothing is kept, and a write invalidates all.
    assert_eq!(echo(&mut client, json!({})).await, (5, false));
    assert_eq!(echo(&mut client, json!({})).await, (6, false));
    client.call("write", json!({})).await;
    assert_eq!(echo(&mut client, b.clone()).await, (8, false));
    // What says that it failed is never kept.
    client.call("fail", json!({})).await;
    client.call("fail", json!({})).await;
    assert_eq!(fake.calls(), 10);
    // Nor is anything asked of the cache by a request that does not want to.
    let params =
        json!({"name": "echo", "arguments": a, "_meta": {"mcp-server/bypass-cache": true}});
    let response = client.request("tools/call", params).await;
    assert_eq!(
        response["result"]["structuredContent"]["number"], 11,
        "{response}"
    );
    assert_eq!(echo(&mut client, a.clone()).await, (12, false));
    assert_eq!(echo(&mut client, a.clone()).await, (12, true));
    // A new list of tools makes all results old.
    client
        .ok("connector_refresh", json!({"name": "fake"}))
        .await;
    assert_eq!(echo(&mut client, a).await, (13, false));
    server.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_by_itself() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    for number in 1..=3 {
        assert_eq!(echo(&mut client, json!({})).await, (number, false));
    }
    server.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn who_asks_for_the_same_at_once_shares_a_call() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut calls = tokio::task::JoinSet::new();
    let address = server.address;
    let wait = move |arguments: Value| async move {
        let mut client = Client::http(Era::Modern, address).await;
        client.call("wait", arguments).await["content"][0]["text"].clone()
    };
    calls.spawn(wait(json!({"of": 1})));
    fake.reached_by(1).await;
    for _ in 0..9 {
        calls.spawn(wait(json!({"of": 1})));
    }
    // It asks for something else.
    calls.spawn(wait(json!({"of": 2})));
    fake.reached_by(1).await;
    // Whoever comes after a change does not join what began before it.
    let mut client = Client::http(Era::Modern, address).await;
    client.call("write", json!({})).await;
    calls.spawn(wait(json!({"of": 1})));
    fake.reached_by(1).await;
    fake.let_pass(10);
    while let Some(text) = calls.join_next().await {
        assert_eq!(text.unwrap(), "waited");
    }
    assert!((4..=8).contains(&fake.calls()), "{}", fake.calls());
    server.stop().await;
    upstream.stop().await;
}
