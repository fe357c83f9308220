//! Every public future of the tier, dropped at every one of its awaits, with the
//! service well, failing, slow and silent.

use super::{
    Node, Source, With,
    memory::{Mood, Service},
    until,
};
use mcp_cache::{
    Fetch,
    remote::{Guard, Pass},
};
use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

type Scenario = fn(Arc<Node>, Source) -> Pin<Box<dyn Future<Output = ()> + Send>>;

async fn fetch(node: &Node, source: Source, fetch: Fetch<'_>) {
    let load = move || async move {
        tokio::task::yield_now().await;
        Ok::<_, String>(source.read())
    };
    let _ = node
        .cache
        .get_or_fetch_with(&"k".to_owned(), fetch, load)
        .await;
}

const SCENARIOS: [(&str, Scenario); 6] = [
    ("a read", |node, source| {
        Box::pin(async move { fetch(&node, source, Fetch::new()).await })
    }),
    ("a strict read", |node, source| {
        Box::pin(async move { fetch(&node, source, Fetch::new().strict()).await })
    }),
    ("many keys", |node, _| {
        Box::pin(async move {
            let keys = ["k", "l", "m"].map(str::to_owned);
            node.cache.get_many(&keys).await;
        })
    }),
    ("a write", |node, source| {
        Box::pin(async move {
            let written = async || {
                tokio::task::yield_now().await;
                Ok::<_, String>(source.write())
            };
            let _ = node.cache.write_through("k".to_owned(), written).await;
        })
    }),
    ("settling", |node, _| {
        Box::pin(async move {
            node.cache.invalidate("other");
            node.remote.settled().await;
        })
    }),
    ("connecting", |node, _| {
        Box::pin(async move { node.remote.connected().await })
    }),
];

/// Each pass holds a handle.
#[derive(Clone, Default)]
struct Passes(Arc<()>);

impl Guard for Passes {
    fn admit(&self) -> Option<Box<dyn Pass>> {
        Some(Box::new(self.clone()))
    }
}

impl Pass for Passes {
    fn succeeded(self: Box<Self>) {}
    fn failed(self: Box<Self>) {}
}

#[tokio::test(start_paused = true)]
async fn a_future_of_the_tier_may_be_dropped_at_every_await() {
    let moods = [
        Mood::Well,
        Mood::Fails,
        Mood::Slow(Duration::from_millis(5)),
        Mood::Hangs,
    ];
    for mood in moods {
        for (name, scenario) in SCENARIOS {
            let mut ended = false;
            for polls in 0..30 {
                ended = drop_after(name, scenario, polls, mood).await;
                if ended {
                    break;
                }
            }
            assert!(ended, "{name}, {mood:?}: it ends by itself at last");
        }
    }
}

/// Whether it was over before.
async fn drop_after(name: &str, scenario: Scenario, polls: usize, mood: Mood) -> bool {
    let what = format!("{name}, {mood:?}, {polls} polls");
    let service = Service::new();
    let passes = Passes::default();
    let with = With {
        guard: Some(Arc::new(passes.clone())),
        ..With::default()
    };
    let source = Source::default();
    let (node, other) = (
        Arc::new(Node::with(&service, with).await),
        Node::new(&service).await,
    );
    // So that there is something in the second tier, and nothing in the first.
    other.get("k", &source).await;
    other.stored(1).await;
    node.end.mood(mood);

    let mut future = scenario(Arc::clone(&node), source.clone());
    let mut left = polls;
    let ended = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    drop(future);

    node.end.mood(Mood::Well);
    let read = node.strict("k", &source).await.value;
    assert_eq!(read, source.version(), "{what}");
    assert_eq!(node.get("k", &source).await.value, read, "{what}");
    until(|| node.remote.stats().pending == 0).await;
    let stats = node.remote.stats();
    assert_eq!(node.cache.stats().loading, 0, "{what}");
    node.remote.close();
    until(|| node.end.in_flight() == 0).await;
    // This test's own and the guard's.
    assert_eq!(Arc::strong_count(&passes.0), 2, "{what}: a pass is left");
    assert_eq!(stats.panics, 0, "{what}");
    ended
}
