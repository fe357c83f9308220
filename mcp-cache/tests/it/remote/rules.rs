//! What a second tier does beside its promise.

use super::{
    Node, Source, With,
    memory::{Mood, Service},
    until,
};
use mcp_cache::{
    Loaded, Observer, Reach, RemoteConfig, RemoteEvent, Source as From,
    remote::{Guard, Pass},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// What was written past a cache told nobody, so that no tier is right after it.
/// Seen to fail when only the first one is cleared.
#[tokio::test(start_paused = true)]
async fn after_a_bypass_neither_tier_has_what_was_there_before() {
    let service = Service::new();
    let source = Source::default();
    let (a, b) = (Node::new(&service).await, Node::new(&service).await);
    a.get("k", &source).await;
    a.stored(1).await;
    a.cache.set_bypass(true);
    let version = source.write();
    a.cache.set_bypass(false);
    assert_eq!(a.get("k", &source).await.value, version);
    assert_eq!(a.remote.settled().await, Reach::Everywhere);
    assert_eq!(b.strict("k", &source).await.value, version);
}

/// Nobody waits for what has ended.
#[tokio::test(start_paused = true)]
async fn a_closed_end_settles_nothing_and_holds_nobody() {
    let service = Service::new();
    let source = Source::default();
    let a = Node::new(&service).await;
    a.get("k", &source).await;
    a.remote.close();
    let version = source.write();
    a.cache.invalidate("k");
    let hour = Duration::from_secs(3_600);
    assert_eq!(timeout(hour, a.remote.settled()).await, Ok(Reach::Local));
    assert_eq!(timeout(hour, a.remote.connected()).await, Ok(()));
    assert_eq!(a.get("k", &source).await.value, version);
    assert_eq!(a.get("k", &source).await.source, From::Hit);
}

struct Panics(AtomicBool);

impl Observer for Panics {
    fn on_remote(&self, event: RemoteEvent<'_>) {
        let due = matches!(
            event,
            RemoteEvent::Heard { .. } | RemoteEvent::PublishFailed(_)
        );
        assert!(!(due && self.0.swap(false, Ordering::Relaxed)), "told to");
    }
}

/// An observer that panics where messages are heard, and where invalidations are
/// told: both go on. Seen to fail when the tasks end with it.
#[tokio::test(start_paused = true)]
async fn a_panic_of_foreign_code_ends_nothing() {
    let service = Service::new();
    let source = Source::default();
    let panics = Arc::new(Panics(AtomicBool::new(false)));
    let with = With {
        observer: Some(panics.clone()),
        ..With::default()
    };
    let (a, b) = (Node::new(&service).await, Node::with(&service, with).await);
    for round in 1..=2 {
        b.get("k", &source).await;
        panics.0.store(true, Ordering::Relaxed);
        a.cache.invalidate_by_tags(&["all"]);
        until(|| b.remote.stats().panics == round).await;
        until(|| b.remote.stats().applied > 0).await;
        assert!(
            b.cache.try_get("k").is_none(),
            "it forgot, and listens again"
        );
    }
    panics.0.store(true, Ordering::Relaxed);
    b.end.mood(Mood::Fails);
    b.cache.invalidate_by_tags(&["all"]);
    until(|| b.remote.stats().panics == 3).await;
    b.end.mood(Mood::Well);
    until(|| b.remote.stats().pending == 0).await;
    assert_eq!(b.remote.settled().await, Reach::Everywhere);
}

/// What a decoder would take for damage is not stored.
#[tokio::test(start_paused = true)]
async fn a_value_of_too_many_tags_stays_at_home() {
    let service = Service::new();
    let a = Node::new(&service).await;
    let load = || async {
        let tags: Vec<String> = (0..5_000).map(|n| format!("t{n}")).collect();
        let tags = tags.into_iter().collect::<mcp_cache::CacheTags>();
        Ok::<_, String>(Loaded::new(1).tags(tags))
    };
    let loaded = a.cache.get_or_fetch(&"k".to_owned(), load).await;
    assert_eq!(loaded.expect("loads").value, 1);
    assert_eq!(a.remote.stats().writes_lost, 1);
    assert_eq!(service.records(), 0);
}

struct Always;
struct Counted;

impl Guard for Always {
    fn admit(&self) -> Option<Box<dyn Pass>> {
        Some(Box::new(Counted))
    }
}

impl Pass for Counted {
    fn succeeded(self: Box<Self>) {}
    fn failed(self: Box<Self>) {}
}

/// Values wait for a store that is slow up to a number of bytes.
#[tokio::test(start_paused = true)]
async fn what_waits_to_be_stored_is_bounded_in_bytes() {
    let service = Service::new();
    let with = With {
        config: RemoteConfig {
            value_bytes_max: 100,
            writes_bytes_max: 1_000,
            ..RemoteConfig::default()
        },
        guard: Some(Arc::new(Always)),
        ..With::default()
    };
    let a = Node::with(&service, with).await;
    let source = Source::default();
    let stats = || a.remote.stats();
    a.end.mood(Mood::Slow(Duration::from_millis(900)));
    for n in 0..100 {
        a.get(&format!("k{n}"), &source).await;
    }
    assert!(stats().writes_lost > 50, "{:?}", stats());
    a.end.mood(Mood::Well);
    until(|| stats().writes + stats().writes_lost == 100).await;
    let lost = stats().writes_lost;
    for n in 100..200 {
        a.get(&format!("k{n}"), &source).await;
        until(|| stats().writes + stats().writes_lost == n + 1).await;
    }
    assert_eq!(stats().writes_lost, lost, "there is room again");
}

/// A service that lost its base is told of by the heartbeat, without anybody asking.
#[tokio::test(start_paused = true)]
async fn the_heartbeat_begins_a_base_where_there_is_none() {
    let service = Service::new();
    let a = Node::new(&service).await;
    let before = service.base();
    service.lose_everything();
    until(|| service.base() > before).await;
    until(|| a.remote.stats().applied >= service.base()).await;
}
