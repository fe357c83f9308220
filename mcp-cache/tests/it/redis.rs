//! The second tier on real `redis-server` processes, which the tests start on free
//! ports in temporary folders. Without the binary they are skipped, and say so,
//! unless `MCP_TEST_REQUIRE_SERVICES=1` is set.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they measured, and which were skipped"
)]

mod cluster;
mod faults;
mod history;
mod proxy;
mod replaced;
mod rules;
mod sentinel;
mod server;
mod tier;
#[cfg(feature = "redis-tls")]
mod tls;
mod warm;

use mcp_cache::{
    Answer, Cache, Config, Error, Fetch, Loaded, Observer, Reach, RedisConfig, RedisStore, Remote,
    RemoteConfig, RemoteEvent,
};
use server::Server;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) type Texts = Cache<String, String>;

/// One process's end, as far as Redis can tell.
pub(crate) struct Node {
    pub(crate) remote: Remote,
    pub(crate) cache: Texts,
}

impl Node {
    pub(crate) async fn new(url: &str) -> Self {
        let patient = RemoteConfig {
            // What is not about deadlines should not fail on a busy machine.
            deadline: Duration::from_secs(1),
            ..RemoteConfig::default()
        };
        Self::with(url, &patient).await
    }

    pub(crate) async fn with(url: &str, config: &RemoteConfig) -> Self {
        Self::at(&RedisConfig::single(url), config).await
    }

    pub(crate) async fn at(redis: &RedisConfig, config: &RemoteConfig) -> Self {
        let remote = remote_at(redis, config);
        remote.connected().await;
        let cache = Cache::builder(&Config::default()).remote(&remote, "texts");
        let cache = cache.build().expect("valid");
        Self { remote, cache }
    }

    pub(crate) async fn get(&self, key: &str, source: &Source) -> Answer<String> {
        self.fetch(key, Fetch::new(), source).await
    }

    pub(crate) async fn strict(&self, key: &str, source: &Source) -> Answer<String> {
        self.fetch(key, Fetch::new().strict(), source).await
    }

    async fn fetch(&self, key: &str, fetch: Fetch<'_>, source: &Source) -> Answer<String> {
        let source = source.clone();
        let load = move || async move { Ok::<_, String>(source.read()) };
        let answer: Result<_, Error<String>> = self
            .cache
            .get_or_fetch_with(&key.to_owned(), fetch, load)
            .await;
        answer.expect("no call fails")
    }

    /// Waits until all that this node has invalidated is settled.
    pub(crate) async fn settle(&self) {
        let settled = async {
            while self.remote.settled().await != Reach::Everywhere {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled)
            .await
            .expect("it settles");
    }

    /// Waits until the second tier has stored so many values of this node.
    pub(crate) async fn stored(&self, count: u64) {
        until(|| self.remote.stats().writes >= count).await;
    }
}

pub(crate) fn remote(url: &str, config: &RemoteConfig) -> Remote {
    remote_at(&RedisConfig::single(url), config)
}

pub(crate) fn remote_at(redis: &RedisConfig, config: &RemoteConfig) -> Remote {
    let store = Arc::new(RedisStore::new(redis).expect("valid"));
    let builder = Remote::builder(store.clone(), store).observer(Arc::new(Says));
    builder.config(config).build().expect("valid")
}

/// Says why the background could not reach Redis, for whoever reads a failed test.
struct Says;

impl Observer for Says {
    fn on_remote(&self, event: RemoteEvent<'_>) {
        if let RemoteEvent::ConnectFailed(error) | RemoteEvent::PublishFailed(error) = event {
            println!("{error}");
        }
    }
}

/// Versions, as a text, all with the tag `all`.
#[derive(Clone, Default)]
pub(crate) struct Source {
    version: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Source {
    pub(crate) fn write(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn read(&self) -> Loaded<String> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        Loaded::new(format!("v{version}"))
            .tags(["all"])
            .namespace("n")
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

/// Waits for something that happens in another process.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("it comes to hold");
}

/// How long a future takes on the real clock.
#[expect(
    clippy::disallowed_methods,
    reason = "of other processes, which no clock here pauses"
)]
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let output = future.await;
    (output, began.elapsed())
}

/// A server, or none, and then it is said.
pub(crate) async fn server() -> Option<Server> {
    Server::start().await
}
