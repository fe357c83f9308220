//! The second tier by the rules of its traits, on a service in memory: what has to
//! happen between two steps is held there, and time is paused.

mod cancellation;
mod deadlines;
mod memory;
mod races;
mod rules;

use mcp_cache::{
    Answer, Cache, Config, Error, Fetch, Loaded, Observer, Remote, RemoteConfig, remote::Guard,
};
use memory::{End, Service};
use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One process, as far as the service can tell.
struct Node {
    end: Arc<End>,
    remote: Remote,
    cache: Cache<String, u64>,
}

/// What a node is made with.
#[derive(Default)]
struct With {
    config: RemoteConfig,
    /// Entries of the first tier.
    entries_max: Option<NonZero<u64>>,
    guard: Option<Arc<dyn Guard>>,
    observer: Option<Arc<dyn Observer>>,
}

impl Node {
    async fn new(service: &Arc<Service>) -> Self {
        Self::with(service, With::default()).await
    }

    async fn with(service: &Arc<Service>, with: With) -> Self {
        let end = End::new(service);
        let mut builder = Remote::builder(end.clone(), end.clone()).config(&with.config);
        if let Some(guard) = with.guard {
            builder = builder.guard(guard);
        }
        if let Some(observer) = with.observer {
            builder = builder.observer(observer);
        }
        let remote = builder.build().expect("valid");
        remote.connected().await;
        let config = Config {
            entries_max: with.entries_max,
            sweep_interval: None,
            ..Config::default()
        };
        let cache = Cache::builder(&config).remote(&remote, "values");
        let cache = cache.build().expect("valid");
        Self { end, remote, cache }
    }

    async fn get(&self, key: &str, source: &Source) -> Answer<u64> {
        self.fetch(key, Fetch::new(), source).await
    }

    async fn strict(&self, key: &str, source: &Source) -> Answer<u64> {
        self.fetch(key, Fetch::new().strict(), source).await
    }

    async fn fetch(&self, key: &str, fetch: Fetch<'_>, source: &Source) -> Answer<u64> {
        let source = source.clone();
        let load = move || async move { Ok::<_, String>(source.read()) };
        let answer: Result<_, Error<String>> = self
            .cache
            .get_or_fetch_with(&key.to_owned(), fetch, load)
            .await;
        answer.expect("no call fails")
    }

    async fn stored(&self, count: u64) {
        until(|| self.remote.stats().writes >= count).await;
    }
}

/// One version for all keys, all with the tag `all`.
#[derive(Clone, Default)]
struct Source(Arc<AtomicU64>);

impl Source {
    fn write(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn version(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn read(&self) -> Loaded<u64> {
        Loaded::new(self.version()).tags(["all"])
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("it comes to hold");
}
