//! Another server behind the same address, and connections that say nothing of it.

use super::{Node, Source, proxy::Proxy, server, until};
use mcp_cache::{Reach, RemoteConfig};
use std::time::Duration;

fn config() -> RemoteConfig {
    RemoteConfig {
        lease: Some(Duration::from_millis(400)),
        ..RemoteConfig::default()
    }
}

/// A connection may outlive the server that it led to. Without anybody invalidating
/// anything, the heartbeat finds it by its run.
#[tokio::test]
async fn the_heartbeat_finds_a_server_of_another_run() {
    let Some(server) = server().await else { return };
    let a = Node::with(&server.url(), &config()).await;
    let base: u64 = server.command(&["HGET", "{mcp}:stamps", "base"]).await;
    let _: u32 = server.command(&["HSET", "{mcp}:stamps", "run", "0"]).await;
    until(|| a.remote.stats().applied > base).await;
}

/// Connections whose other end is gone without a word are given up, and others are
/// made.
#[tokio::test]
async fn connections_that_fell_silent_are_made_anew() {
    let Some(server) = server().await else { return };
    let proxy = Proxy::start(server.port()).await;
    let source = Source::default();
    let (a, b) = (
        Node::with(&proxy.url(), &config()).await,
        Node::with(&server.url(), &config()).await,
    );
    a.get("k", &source).await;
    a.stored(1).await;
    proxy.mute();
    let version = source.write();
    b.cache.invalidate("k");
    assert_eq!(b.remote.settled().await, Reach::Everywhere);
    let before = a.remote.stats();
    a.cache.invalidate("other");
    let asks = async {
        loop {
            let read = a.strict("k", &source).await;
            assert_eq!(read.value, format!("v{version}"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = until(|| {
        let stats = a.remote.stats();
        stats.subscriptions > before.subscriptions && stats.pending == 0 && stats.applied > 0
    });
    tokio::select! {
        () = heard => {}
        () = asks => {}
    }
}
