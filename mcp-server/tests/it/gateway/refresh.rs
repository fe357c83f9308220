//! Lists of tools that follow their upstreams.

use std::time::Duration;

use mcp_server::upstream::ServerConfig;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{
    http::Http,
    mcp::{Client, Era, legacy_headers, modern, modern_headers, open_session},
    until,
    upstream::{Fake, gateway, gateway_with, named, remote_tools, until_tools_are},
};

#[tokio::test]
async fn a_changed_list_is_followed_in_both_eras_and_told_to_clients_of_both() {
    for legacy in [false, true] {
        let fake = Fake::with(legacy, Some(3_600_000));
        let (upstream, connector) = fake.serve().await;
        let server = gateway([("fake", connector)]).await;
        let mut modern_client = Client::http(Era::Modern, server.address).await;
        assert_eq!(remote_tools(&mut modern_client).await.len(), 6);

        // Who listens hears of it: by a stream of news, or the stream of a session.
        let mut listening = Http::connect(server.address).await;
        let params = json!({"notifications": {"toolsListChanged": true}});
        let message = modern(1, "subscriptions/listen", &params);
        let headers = modern_headers(&message);
        listening
            .request("POST", "/mcp", &headers, message.to_string())
            .await;
        assert_eq!(listening.head().await.status, 200);
        let mut session = Http::connect(server.address).await;
        let id = open_session(&mut session).await;
        let headers = legacy_headers(&id);
        session.request("GET", "/mcp", &headers[1..], "").await;
        assert_eq!(session.head().await.status, 200);

        // The upstream's stream of news may not be open yet: it is told again until it is heard.
        let wanted = ["new", "other"];
        until("the new tools", async || {
            fake.exchange(&wanted);
            tokio::time::sleep(Duration::from_millis(300)).await;
            (remote_tools(&mut modern_client).await == wanted).then_some(())
        })
        .await;
        for names in [["third", "other"], ["fourth", "other"]] {
            for stream in [&mut listening, &mut session] {
                stream.hears("notifications/tools/list_changed").await;
            }
            // And again, whether or not anybody has listed them meanwhile.
            fake.exchange(&names);
        }
        drop((listening, session));
        server.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn a_list_is_fresh_as_long_as_its_upstream_says() {
    for (ttl_ms, least, most) in [
        (Some(60_000), 50_000, 60_000),
        (Some(0), 0, 0),
        (None, 200_000, 300_000),
    ] {
        let fake = Fake::with(false, ttl_ms);
        let (upstream, connector) = fake.serve().await;
        let server = gateway([("fake", connector)]).await;
        let mut client = Client::http(Era::Modern, server.address).await;
        let response = client.request("tools/list", json!({})).await;
        // rmcp says 0 where its server says nothing.
        let least = if ttl_ms.is_none() { 0 } else { least };
        let left = response["result"]["ttlMs"].as_u64().unwrap();
        assert!((least..=most).contains(&left), "{ttl_ms:?}: {left}");
        server.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn a_list_is_asked_for_again_in_the_background_but_not_while_it_is_fresh() {
    let (fresh, brief) = (
        Fake::with(false, Some(3_600_000)),
        Fake::with(false, Some(1)),
    );
    let ((first, a), (second, b)) = (fresh.serve().await, brief.serve().await);
    let server = gateway_with([("fresh", a), ("brief", b)], |config| {
        config.refresh.interval = Duration::from_millis(100);
    })
    .await;
    until("the rounds", async || (brief.lists() > 3).then_some(())).await;
    assert_eq!(fresh.lists(), 1);
    // Whoever asks gets a new one nevertheless.
    let mut client = Client::http(Era::Modern, server.address).await;
    let status = client
        .ok("connector_refresh", json!({"name": "fresh"}))
        .await;
    assert_eq!(
        (&status["condition"], fresh.lists()),
        (&json!("ready"), 2),
        "{status}"
    );
    let unknown = client
        .call("connector_refresh", json!({"name": "none"}))
        .await;
    assert_eq!(unknown["_meta"]["error"]["code"], "invalid_argument");
    assert!(server.app().gateway().durations().snapshot().count >= 5);
    for server in [server, first, second] {
        server.stop().await;
    }
}

#[tokio::test]
async fn without_a_share_or_an_interval_nothing_is_asked_in_the_background() {
    for part in [true, false] {
        let fake = Fake::with(false, Some(1));
        let (upstream, connector) = fake.serve().await;
        let server = gateway_with([("fake", connector)], |config| match part {
            true => {
                config.refresh.interval = Duration::from_millis(20);
                config.refresh.share_percent = 0;
            }
            false => config.refresh.interval = Duration::ZERO,
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(fake.lists(), 1);
        server.stop().await;
        upstream.stop().await;
    }
}

/// A list whose upstream is gone is served on, and marked; when the upstream is back, so is the list.
#[tokio::test]
async fn an_old_list_is_served_and_marked() {
    let fake = Fake::with(false, Some(1));
    let (upstream, connector) = fake.serve().await;
    let address = upstream.address;
    let server = gateway_with([("fake", connector)], |config| {
        config.refresh.interval = Duration::from_millis(50);
        config.refresh.backoff_max = Duration::from_millis(200);
    })
    .await;
    upstream.stop().await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let list = async |client: &mut Client| client.request("tools/list", json!({})).await;
    let marked = until("the mark", async || {
        let response = list(&mut client).await;
        (response["result"]["_meta"]["stale"] == true).then_some(response)
    })
    .await;
    let result = &marked["result"];
    assert!(
        result["_meta"]["mcp-server/stale-connectors"]["fake"]["age_ms"].is_u64(),
        "{result}"
    );
    assert_eq!(result["ttlMs"], 0);
    assert_eq!(remote_tools(&mut client).await.len(), 6);
    let status = client.ok("connector_list", json!({})).await;
    assert_eq!(status["connectors"][0]["condition"], "stale", "{status}");

    let listener = until("the port", async || TcpListener::bind(address).await.ok()).await;
    let shutdown = tokio_util::sync::CancellationToken::new();
    let again = tokio::spawn(mcp_server::transport::http::serve(
        listener,
        fake.clone(),
        Default::default(),
        mcp_server::config::HttpConfig::default(),
        shutdown.clone(),
    ));
    until("the recovery", async || {
        let response = list(&mut client).await;
        response["result"]["_meta"]["stale"].is_null().then_some(())
    })
    .await;
    server.stop().await;
    shutdown.cancel();
    again.await.unwrap().unwrap();
}

#[tokio::test]
async fn connectors_come_and_go_while_the_server_runs() {
    let (one, two) = (Fake::new(), Fake::new());
    two.exchange(&["second"]);
    let ((first, a), (second, b)) = (one.serve().await, two.serve().await);
    let server = gateway([("one", a.clone())]).await;
    let gateway = server.app().gateway();
    let mut client = Client::http(Era::Modern, server.address).await;
    gateway.configure(&named([("one", a), ("two", b.clone())]));
    until("both", async || {
        (remote_tools(&mut client).await.len() == 7).then_some(())
    })
    .await;
    gateway.configure(&named([("two", b.clone())]));
    until_tools_are(&mut client, &["second"]).await;
    let off = ServerConfig {
        enabled: false,
        ..b
    };
    gateway.configure(&named([("two", off)]));
    until_tools_are(&mut client, &[]).await;
    for server in [server, first, second] {
        server.stop().await;
    }
}

/// The answers to many who want the same connector to be asked: one after the other, never two at
/// once, and no tool twice.
#[tokio::test]
async fn many_refreshes_at_once_are_one_after_the_other() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let server = gateway([("fake", connector)]).await;
    let name = "fake".parse().unwrap();
    let gateway = server.app().gateway();
    let refreshes = (0..20).map(|_| gateway.refresh(&name));
    for status in futures_util::future::join_all(refreshes).await {
        assert_eq!(status.unwrap().tools, 6);
    }
    assert_eq!(fake.lists(), 21);
    server.stop().await;
    upstream.stop().await;
}
