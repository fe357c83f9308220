//! A batch function with a script, and what it saw.

use mcp_batch::{BatchProcessor, Builder, Config};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

pub(crate) type Numbers = BatchProcessor<u64, u64, String>;

/// Two slots, 50 items, 50 ms, fixed sizes.
pub(crate) fn config() -> Config {
    Config {
        max_concurrent_batches: 2,
        adaptive_sizing: false,
        ..Config::default()
    }
}

/// What the function saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    batches: Mutex<Vec<(Duration, Vec<u64>)>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Seen {
    fn note(&self, at: Duration, items: &[u64]) {
        let mut batches = self.batches.lock().expect("no panic");
        batches.push((at, items.to_vec()));
    }

    /// The batches, in the order of their starts.
    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        let batches = self.batches.lock().expect("no panic");
        batches.iter().map(|batch| batch.1.clone()).collect()
    }

    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }

    /// When each batch started, since the processor was made.
    pub(crate) fn starts(&self) -> Vec<Duration> {
        let batches = self.batches.lock().expect("no panic");
        batches.iter().map(|batch| batch.0).collect()
    }

    /// The most batches that ran at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// Each batch takes `takes`; an item's result is twice the item, or an error
/// for multiples of 1,000.
pub(crate) fn doubling(config: &Config, takes: Duration) -> (Numbers, Arc<Seen>) {
    doubling_with(Numbers::builder(config), takes)
}

pub(crate) fn doubling_with(
    builder: Builder<u64, u64, String>,
    takes: Duration,
) -> (Numbers, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let (start, inside) = (Instant::now(), Arc::clone(&seen));
    let function = move |items: Vec<u64>| {
        let seen = Arc::clone(&inside);
        async move {
            let running = seen.running.fetch_add(1, Ordering::Relaxed) + 1;
            seen.most.fetch_max(running, Ordering::Relaxed);
            seen.note(start.elapsed(), &items);
            tokio::time::sleep(takes).await;
            seen.running.fetch_sub(1, Ordering::Relaxed);
            items.into_iter().map(double).collect()
        }
    };
    (
        builder.build(function).expect("a valid configuration"),
        seen,
    )
}

pub(crate) fn double(item: u64) -> Result<u64, String> {
    if item > 0 && item.is_multiple_of(1_000) {
        return Err(format!("{item} is a multiple of 1000"));
    }
    Ok(2 * item)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Lets the tasks that are ready run.
pub(crate) async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
