//! What happens between two steps of a read and an invalidation.

use super::{Node, Source, With, memory::Service, until};
use mcp_cache::{Fetch, Reach, RemoteConfig, Source as From};
use std::{
    num::NonZero,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::runtime::Handle;

/// A lease that no test outlives, and no heartbeat beside what a test does.
fn quiet() -> RemoteConfig {
    RemoteConfig {
        deadline: Duration::from_secs(60),
        lease: Some(Duration::from_secs(3_600)),
        ..RemoteConfig::default()
    }
}

fn small() -> With {
    With {
        config: RemoteConfig {
            pending_max: 1,
            ..quiet()
        },
        entries_max: NonZero::new(1),
        ..With::default()
    }
}

/// A look has its answer from before a new base, which this process asked for and
/// has not heard of yet. Seen to fail when only the message moves the mirror on.
#[tokio::test(start_paused = true)]
async fn giving_everything_up_is_obeyed_by_looks_on_their_way() {
    let service = Service::new();
    let source = Source::default();
    let a = Node::with(&service, small()).await;
    a.get("k", &source).await;
    a.get("makes room", &source).await;
    a.stored(2).await;
    let a = Arc::new(a);

    a.end.joins.close();
    a.end.messages.close();
    a.end.answers.close();
    let version = source.write();
    // Two, where one can be kept.
    a.cache.invalidate_by_tags(&["all", "other"]);
    let (reader, read_from) = (Arc::clone(&a), source.clone());
    let looks = a.end.looks.load(Ordering::Relaxed);
    let read = tokio::spawn(async move { reader.get("k", &read_from).await });
    until(|| a.end.looks.load(Ordering::Relaxed) > looks).await;
    a.end.joins.open();
    until(|| a.remote.stats().pending == 0).await;
    a.end.answers.open();
    assert_eq!(read.await.expect("no panic").value, version);
}

/// What is given to `warm` may read its source when it is called, which is before
/// the second tier is asked for its epoch. Seen to fail when that one is the
/// record's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_warming_read_early_is_not_stored_as_if_it_were_late() {
    let service = Service::new();
    let source = Source::default();
    let with = || With {
        config: quiet(),
        ..With::default()
    };
    let (a, b) = (
        Node::with(&service, with()).await,
        Node::with(&service, with()).await,
    );
    b.end.messages.close();
    let early = |_: &String| {
        let value = source.read();
        let version = source.write();
        a.cache.invalidate("k");
        let settled = || Handle::current().block_on(a.remote.settled());
        assert_eq!(tokio::task::block_in_place(settled), Reach::Everywhere);
        assert_eq!(version, 1);
        async move { Ok::<_, String>(value) }
    };
    let one = NonZero::<usize>::MIN;
    let warmed = b
        .cache
        .warm(["k".to_owned()], Fetch::new(), one, early, |_| {});
    assert_eq!(warmed.await.loaded, 1);
    b.stored(1).await;
    let c = Node::with(&service, with()).await;
    assert_eq!(c.strict("k", &source).await.value, 1);
}

/// The message of another process is on its way while a strict read compares.
#[tokio::test(start_paused = true)]
async fn a_strict_read_waits_for_no_message() {
    let service = Service::new();
    let source = Source::default();
    let (a, b) = (Node::new(&service).await, Node::new(&service).await);
    b.get("k", &source).await;
    b.end.messages.close();
    let version = source.write();
    a.cache.invalidate_by_tags(&["all"]);
    assert_eq!(a.remote.settled().await, Reach::Everywhere);
    assert_eq!(b.get("k", &source).await.value, 0, "it has not heard");
    assert_eq!(b.strict("k", &source).await.value, version);
}

/// A record that was born before an invalidation is stored after it.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_stored_late_is_dead() {
    let service = Service::new();
    let source = Source::default();
    let (a, b) = (Node::new(&service).await, Node::new(&service).await);
    let (old, teller, written) = (source.clone(), a.cache.clone(), source.clone());
    let settled = a.remote.clone();
    let load = move || async move {
        let value = old.read();
        written.write();
        teller.invalidate("k");
        assert_eq!(settled.settled().await, Reach::Everywhere);
        Ok::<_, String>(value)
    };
    b.end.messages.close();
    let late = b.cache.get_or_fetch(&"k".to_owned(), load).await;
    assert_eq!(late.expect("loads").value, 0, "it was asked for before");
    b.stored(1).await;
    assert_eq!(a.get("k", &source).await.source, From::Loaded);
}
