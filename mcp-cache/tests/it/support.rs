//! Loads with a script, and what they saw.

use mcp_cache::{Cache, ClassConfig, Config, Loaded};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

pub(crate) type Texts = Cache<String, u64>;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A time to live of ten seconds, exact.
pub(crate) fn ten_seconds() -> ClassConfig {
    ClassConfig {
        ttl: Some(ms(10_000)),
        jitter: 0.0,
        ..ClassConfig::default()
    }
}

pub(crate) fn with_class(default_class: ClassConfig) -> Texts {
    cache(&Config {
        default_class,
        ..Config::default()
    })
}

pub(crate) fn cache(config: &Config) -> Texts {
    Cache::new(config).expect("valid")
}

pub(crate) fn key(name: &str) -> String {
    name.to_owned()
}

/// A source whose reads wait at a gate, if it is closed, and fail if told to.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) value: AtomicU64,
    reads: AtomicU64,
    takes_ms: AtomicU64,
    fails: std::sync::atomic::AtomicBool,
    closed: std::sync::atomic::AtomicBool,
    gate: Notify,
}

impl Source {
    pub(crate) fn new(value: u64) -> Arc<Self> {
        Arc::new(Self {
            value: AtomicU64::new(value),
            ..Self::default()
        })
    }

    /// Every read takes so long.
    pub(crate) fn slow(value: u64, takes_ms: u64) -> Arc<Self> {
        let source = Self::new(value);
        source.takes(takes_ms);
        source
    }

    pub(crate) fn takes(&self, ms: u64) {
        self.takes_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::Relaxed);
        self.gate.notify_waiters();
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The value is read first, and then it takes its time.
    pub(crate) async fn read(self: Arc<Self>) -> Result<u64, String> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let value = self.value.load(Ordering::Relaxed);
        let fails = self.fails.load(Ordering::Relaxed);
        let gate = self.gate.notified();
        if self.closed.load(Ordering::Relaxed) {
            gate.await;
        }
        let takes_ms = self.takes_ms.load(Ordering::Relaxed);
        if takes_ms > 0 {
            tokio::time::sleep(ms(takes_ms)).await;
        }
        if fails {
            Err(format!("no {value}"))
        } else {
            Ok(value)
        }
    }

    pub(crate) async fn read_tagged(
        self: Arc<Self>,
        tag: &'static str,
    ) -> Result<Loaded<u64>, String> {
        Ok(Loaded::new(self.read().await?).tags([tag]))
    }
}

/// A load of `source`.
pub(crate) fn load(source: &Arc<Source>) -> impl FnOnce() -> LoadFuture + Send + use<> {
    let source = Arc::clone(source);
    move || Box::pin(source.read())
}

pub(crate) type LoadFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<u64, String>> + Send + 'static>>;

/// Lets all tasks run that can.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
