//! Two processes and one Redis, when all is well.

use super::{Node, Source, server, until};
use mcp_cache::{CacheEventBus, CacheInvalidationEvent, Reach, Source as From};
use std::num::NonZero;

#[tokio::test]
async fn what_one_process_loads_the_others_have() {
    let Some(server) = server().await else { return };
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    let source = Source::default();
    assert_eq!(a.get("k", &source).await.source, From::Loaded);
    a.stored(1).await;
    assert_eq!(b.get("k", &source).await.source, From::Remote);
    assert_eq!(b.get("k", &source).await.source, From::Hit);
    assert_eq!(source.reads(), 1);
}

/// By every form; the reader is in the other process, and strict.
#[tokio::test]
async fn what_one_process_invalidates_no_other_serves() {
    let Some(server) = server().await else { return };
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    let source = Source::default();
    let bus = CacheEventBus::with_remote(&a.remote, NonZero::new(4).expect("not zero"));
    let forms: [(&str, &dyn Fn()); 7] = [
        ("key", &|| assert!(a.cache.invalidate("k"))),
        ("tag", &|| a.cache.invalidate_by_tags(&["all"])),
        ("namespace", &|| a.cache.invalidate_namespace("n")),
        ("pattern", &|| a.cache.invalidate_pattern("k*")),
        ("clear", &|| a.cache.clear()),
        ("write", &|| {
            let _ = a.cache.insert("k".to_owned(), "written".to_owned(), []);
        }),
        ("event", &|| {
            bus.publish(CacheInvalidationEvent::Custom {
                name: "x".to_owned(),
                tags: ["all"].into(),
            });
        }),
    ];
    for (form, invalidate) in forms {
        let before = a.get("k", &source).await.value;
        until(|| a.remote.stats().pending == 0).await;
        b.get("k", &source).await;
        let version = source.write();
        invalidate();
        assert_eq!(a.remote.settled().await, Reach::Everywhere, "{form}");
        let read = b.strict("k", &source).await.value;
        assert_eq!(
            read,
            format!("v{version}"),
            "{form}: strict, before {before}"
        );
        // And soon without being strict: the message is on its way.
        let old = b.cache.try_get("k");
        assert!(old.is_none_or(|old| old == read), "{form}");
        if form == "write" {
            // What it wrote is newer than what anybody loaded before.
            assert_eq!(a.cache.try_get("k").as_deref(), Some("written"));
            a.cache.clear();
            a.remote.settled().await;
        }
    }
    // The first tier of the other one hears by itself.
    b.get("k", &source).await;
    a.cache.invalidate_by_tags(&["all"]);
    until(|| b.cache.try_get("k").is_none()).await;
}

/// The load began before the invalidation and comes back after it.
#[tokio::test]
async fn a_late_value_is_dead_in_the_second_tier_too() {
    let Some(server) = server().await else { return };
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    let source = Source::default();
    let (begun, loading) = tokio::sync::oneshot::channel();
    let (go, gate) = tokio::sync::oneshot::channel::<()>();
    let (cache, old) = (a.cache.clone(), source.clone());
    let load = tokio::spawn(async move {
        let load = move || async move {
            let value = old.read();
            let _ = begun.send(());
            let _ = gate.await;
            Ok::<_, String>(value)
        };
        cache.get_or_fetch(&"k".to_owned(), load).await
    });
    loading.await.expect("it began");
    source.write();
    b.cache.invalidate_by_tags(&["all"]);
    assert_eq!(b.remote.settled().await, Reach::Everywhere);
    let _ = go.send(());
    let late = load.await.expect("no panic").expect("no error");
    assert_eq!(late.value, "v0", "it was asked for before");
    let read = b.get("k", &source).await;
    assert_eq!((read.value.as_str(), read.source), ("v1", From::Loaded));
}

#[tokio::test]
async fn many_keys_take_one_round_trip() {
    let Some(server) = server().await else { return };
    let (a, b) = (
        Node::new(&server.url()).await,
        Node::new(&server.url()).await,
    );
    let source = Source::default();
    let keys: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
    for key in &keys[..40] {
        a.get(key, &source).await;
    }
    a.stored(40).await;
    b.get(&keys[0], &source).await;
    let answers = b.cache.get_many(&keys).await;
    let sources: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map(|a| a.source))
        .collect();
    assert_eq!(sources[0], Some(From::Hit));
    assert!(
        sources[1..40]
            .iter()
            .all(|source| *source == Some(From::Remote)),
        "{sources:?}"
    );
    assert!(sources[40..].iter().all(Option::is_none));
    assert_eq!(
        b.cache.get_many(&keys[..40]).await[39]
            .as_ref()
            .map(|a| a.source),
        Some(From::Hit)
    );
    assert_eq!(source.reads(), 40);
}

#[tokio::test]
async fn a_restarted_process_reads_what_was_there_and_obeys_what_was_said() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let a = Node::new(&server.url()).await;
    a.get("k", &source).await;
    a.get("other", &source).await;
    a.stored(2).await;
    a.cache.invalidate("other");
    assert_eq!(a.remote.settled().await, Reach::Everywhere);
    drop(a);
    let b = Node::new(&server.url()).await;
    assert_eq!(
        b.get("k", &source).await.source,
        From::Remote,
        "by the stamps in the store"
    );
    assert_eq!(b.remote.stats().second_trips, 1);
    assert_eq!(b.get("other", &source).await.source, From::Loaded);
}
