//! What is in Redis and should not be, and what a record may be.

use super::{Node, Source, remote, server, until};
use mcp_cache::{Cache, Config, Loaded, RemoteConfig, Source as From};
use std::time::Duration;

#[tokio::test]
async fn a_key_of_another_kind_and_a_damaged_value_are_misses_and_mended() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    a.get("k", &source).await;
    a.stored(1).await;
    let good: Vec<u8> = server.command(&["GET", "mcp:texts:k"]).await;
    for (n, damage) in [
        &["DEL", "mcp:texts:k"][..],
        &[
            "SETRANGE",
            "mcp:texts:k",
            &(good.len() - 1).to_string(),
            "~",
        ],
        &["SET", "mcp:texts:k", ""],
        &["SETRANGE", "mcp:texts:k", "0", "\u{7f}"],
    ]
    .into_iter()
    .enumerate()
    {
        let _: redis::Value = server.command(damage).await;
        if n == 0 {
            let _: u32 = server.command(&["LPUSH", "mcp:texts:k", "x"]).await;
        }
        b.cache.clear();
        b.remote.settled().await;
        let before = b.remote.stats().writes;
        assert_eq!(b.get("k", &source).await.source, From::Loaded, "{damage:?}");
        b.stored(before + 1).await;
    }
    let stats = b.remote.stats();
    assert_eq!((stats.corrupt, stats.unreadable), (2, 1), "{stats:?}");
    let c = Node::new(&server.url()).await;
    assert_eq!(c.get("k", &source).await.source, From::Remote, "mended");
}

/// The tier's own keys, of another kind or gone.
#[tokio::test]
async fn the_tiers_own_keys_heal_and_nothing_old_is_served() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    for damage in [
        &["DEL", "{mcp}:epoch"][..],
        &["DEL", "{mcp}:stamps"],
        &["FLUSHALL"],
        &["SET", "{mcp}:epoch", "x"],
        &["SET", "{mcp}:epoch", "9007199254740993"],
        &["HSET", "{mcp}:stamps", "base", "x"],
        &["RENAME", "{mcp}:stamps", "{mcp}:epoch"],
        &["RENAME", "{mcp}:epoch", "{mcp}:stamps"],
    ] {
        a.get("k", &source).await;
        b.get("k", &source).await;
        let _: redis::Value = server.command(damage).await;
        let version = source.write();
        a.cache.invalidate_by_tags(&["all"]);
        let settled = async {
            while a.remote.settled().await != mcp_cache::Reach::Everywhere {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled)
            .await
            .expect("it heals");
        let read = b.strict("k", &source).await.value;
        assert_eq!(read, format!("v{version}"), "{damage:?}");
    }
}

/// A number whose message nobody has heard, found by the next message, or by the
/// heartbeat. Seen to fail when a gap is passed over.
#[tokio::test]
async fn a_gap_in_the_numbers_empties_the_first_tier() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    for told in [true, false] {
        b.get("k", &source).await;
        let _: u64 = server.command(&["INCR", "{mcp}:epoch"]).await;
        if told {
            a.cache.invalidate("unrelated");
        }
        until(|| b.cache.try_get("k").is_none()).await;
    }
}

#[tokio::test]
async fn the_last_handle_ends_what_runs() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let a = Node::new(&server.url()).await;
    a.get("k", &source).await;
    let cache = a.cache.clone();
    drop(a);
    assert!(clients(&server).await > 1, "the cache goes on");
    drop(cache);
    while clients(&server).await > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Connections, that of the question included.
async fn clients(server: &super::Server) -> usize {
    let list: String = server.command(&["CLIENT", "LIST"]).await;
    list.lines().count()
}

#[tokio::test]
async fn a_values_own_time_to_live_goes_with_it() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    let load = || async {
        let short = Loaded::new("v".to_owned()).ttl(Duration::from_secs(1));
        Ok::<_, String>(short)
    };
    a.cache
        .get_or_fetch(&"k".to_owned(), load)
        .await
        .expect("loads");
    a.stored(1).await;
    let ttl_ms: i64 = server.command(&["PTTL", "mcp:texts:k"]).await;
    assert!((1..=1_000).contains(&ttl_ms), "{ttl_ms}");
    assert!(b.cache.get_many(&["k".to_owned()]).await[0].is_some());
    a.get("long", &source).await;
    a.stored(2).await;
    let ttl_ms: i64 = server.command(&["PTTL", "mcp:texts:long"]).await;
    assert!(
        (3_500_000..=3_600_000).contains(&ttl_ms),
        "an hour: {ttl_ms}"
    );
    tokio::time::sleep(Duration::from_millis(1_010)).await;
    assert!(
        b.cache.try_get("k").is_none(),
        "not for longer than in the first process"
    );
}

#[tokio::test]
async fn large_values_stay_at_home_and_names_are_checked() {
    let Some(server) = server().await else { return };
    let config = RemoteConfig {
        value_bytes_max: 10,
        ..RemoteConfig::default()
    };
    let a = Node::with(&server.url(), &config).await;
    let load = || async { Ok::<_, String>("longer than ten bytes".to_owned()) };
    a.cache
        .get_or_fetch(&"k".to_owned(), load)
        .await
        .expect("loads");
    assert_eq!(a.remote.stats().writes_lost, 1);
    for name in ["texts", "", "a:b"] {
        let second = Cache::<String, String>::builder(&Config::default()).remote(&a.remote, name);
        assert_eq!(
            second.build().map(|_| ()).map_err(|e| e.field),
            Err("remote"),
            "{name}"
        );
    }
    let bad = RemoteConfig {
        deadline: Duration::ZERO,
        ..config
    };
    assert!(bad.validate().is_err());
    drop(remote(&server.url(), &RemoteConfig::default()));
}
