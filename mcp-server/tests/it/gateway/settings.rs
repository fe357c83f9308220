//! Connectors whose settings change, and what those allow.

use std::time::Duration;

use mcp_server::auth::Scope;
use serde_json::{Value, json};

use crate::support::{
    http::Http,
    mcp::{Client, Era, modern, modern_headers},
    raw::{Answer, Script, connector, orderly, raw},
    server::Server,
    until,
    upstream::{Fake, gateway, named, remote_tools, settings_of},
    within,
};

/// Calls go to the new upstream from the moment on at which its settings are in force, though it has
/// not said yet which tools it has.
#[tokio::test]
async fn a_connector_with_other_settings_serves_at_once() {
    let fake = Fake::new();
    let (upstream, old) = fake.serve().await;
    let server = gateway([("fake", old)]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    client.ok("echo", json!({})).await;

    let inner = orderly(|_| {
        Answer::Result(json!({"content": [], "isError": false, "structuredContent": {"new": 1}}))
    });
    let script: Script =
        std::sync::Arc::new(move |message, number| match message["method"].as_str() {
            Some("tools/list") => Answer::Hang,
            _ => inner(message, number),
        });
    let address = raw(script, None).await;
    let gateway = server.app().gateway();
    gateway.configure(&named([("fake", connector(address))]));
    let content = client.ok("echo", json!({})).await;
    assert_eq!(content["new"], 1);
    assert_eq!(fake.calls(), 1);
    // Until it says what it has, the list is the old one, and marked.
    let response = client.request("tools/list", json!({})).await;
    assert_eq!(response["result"]["_meta"]["stale"], true, "{response}");
    assert_eq!(remote_tools(&mut client).await.len(), 6);
    // And the end does not wait for it.
    let began = tokio::time::Instant::now();
    server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    upstream.stop().await;
}

/// Anybody can say of a tool that it only reads.
#[tokio::test]
async fn a_hint_is_no_permission_unless_it_is_trusted() {
    for trusted in [false, true] {
        let fake = Fake::new();
        let (upstream, mut connector) = fake.serve().await;
        connector.trust_read_only_hint = trusted;
        let callers = [("ann", Scope::Read), ("bob", Scope::Write)];
        let config = settings_of([("fake", connector)]);
        let (server, secrets) = Server::with_callers(config, &callers).await;
        within("the connectors", server.app().gateway().settled()).await;
        for (secret, tool, allowed) in [
            (&secrets[0], "echo", trusted),
            (&secrets[0], "write", false),
            (&secrets[1], "echo", true),
            (&secrets[1], "write", true),
        ] {
            // The fast way and that of rmcp.
            for progress in [false, true] {
                let response = call(&server, secret, tool, progress).await;
                let status = if allowed { 200 } else { 403 };
                assert_eq!(
                    response.0, status,
                    "{trusted} {tool} {progress}: {}",
                    response.1
                );
            }
        }
        assert_eq!(fake.calls(), if trusted { 6 } else { 4 });
        server.stop().await;
        upstream.stop().await;
    }
}

async fn call(server: &Server, secret: &str, tool: &str, progress: bool) -> (u16, String) {
    let mut connection = Http::connect(server.address).await;
    let mut message = modern(1, "tools/call", &json!({"name": tool, "arguments": {}}));
    if progress {
        message["params"]["_meta"]["progressToken"] = json!("p");
    }
    let authorization = format!("Bearer {secret}");
    let mut headers = modern_headers(&message);
    headers.push(("Authorization", authorization.as_str()));
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    let response = connection.response().await;
    (response.status(), response.body.clone())
}

/// A connector that is gone answers as what it is.
#[tokio::test]
async fn a_removed_connector_leaves_nothing() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    server.app().gateway().configure(&named([]));
    // At once, whatever its worker still does.
    assert!(remote_tools(&mut client).await.is_empty());
    let response: Value = until("the refusal", async || {
        let response = client.request("tools/call", json!({"name": "echo"})).await;
        response["error"].is_object().then_some(response)
    })
    .await;
    assert_eq!(response["error"]["code"], -32602, "{response}");
    server.stop().await;
    upstream.stop().await;
}

#[tokio::test]
async fn a_call_at_work_goes_on_under_its_settings() {
    let (before, after) = (Fake::new(), Fake::new());
    let ((first, old), (second, new)) = (before.serve().await, after.serve().await);
    let server = gateway([("fake", old)]).await;
    let address = server.address;
    let waiting = tokio::spawn(async move {
        let mut client = Client::http(Era::Modern, address).await;
        client.call("wait", json!({})).await
    });
    before.reached_by(1).await;
    server.app().gateway().configure(&named([("fake", new)]));
    let mut client = Client::http(Era::Modern, address).await;
    client.ok("echo", json!({})).await;
    assert_eq!((before.calls(), after.calls()), (1, 1));
    before.let_pass(1);
    let result = within("the answer", waiting).await.unwrap();
    assert_eq!(result["content"][0]["text"], "waited", "{result}");
    for server in [server, first, second] {
        server.stop().await;
    }
}
