//! The shapes of load, and how one rival does under each.

use benches::latency::Latencies;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CLOSED_TASKS: usize = 64;
const CLOSED_FOR: Duration = Duration::from_secs(2);
const LONE_ITEMS: u64 = 300;
const BURSTS: u32 = 60;
const BURST_LEN: u64 = 200;
const BURST_EVERY: Duration = Duration::from_millis(20);

/// What the batch function costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    batch: Duration,
    item: Duration,
}

pub(crate) const WORK: Work = Work {
    batch: Duration::from_micros(200),
    item: Duration::from_micros(2),
};
pub(crate) const FREE: Work = Work {
    batch: Duration::ZERO,
    item: Duration::ZERO,
};

impl Work {
    /// Keeps a core busy, as a batch of so many items does.
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    pub(crate) fn compute(self, items: usize) {
        let items = u32::try_from(items).expect("at most 50");
        let cost = self.batch + self.item * items;
        if cost.is_zero() {
            return;
        }
        let start = Instant::now();
        while start.elapsed() < cost {
            black_box(());
            std::hint::spin_loop();
        }
    }
}

pub(crate) fn print_head() {
    println!(
        "{:<34} {:>10} {:>8} {:>8}  {:>7} {:>7}  {:>9} {:>9}  {:>8}",
        "", "closed/s", "p50 µs", "p99 µs", "lone", "p99", "burst p50", "p99", "free ns"
    );
}

/// One library under one policy.
pub(crate) trait Rival: Clone + Send + Sync + 'static {
    /// Submits an item; its result is the item.
    fn submit(&self, item: u64) -> impl Future<Output = u64> + Send;
}

/// One line of the table. The shapes with the same function share an instance,
/// which has to adapt; the free function has its own.
pub(crate) async fn run<R: Rival>(name: &str, make: impl Fn(Work) -> R) {
    let rival = make(WORK);
    let closed_loop = closed(rival.clone()).await;
    let lone = on_runtime(lone(rival.clone())).await;
    let burst = on_runtime(bursts(rival)).await;
    let free = closed(make(FREE)).await;
    let us = |latencies: &Latencies, percent| latencies.percentile(percent).as_secs_f64() * 1e6;
    println!(
        "{name:<34} {:>10.0} {:>8.0} {:>8.0}  {:>7.0} {:>7.0}  {:>9.0} {:>9.0}  {:>8.0}",
        closed_loop.rate(),
        us(&closed_loop, 50),
        us(&closed_loop, 99),
        us(&lone, 50),
        us(&lone, 99),
        us(&burst, 50),
        us(&burst, 99),
        1e9 / free.rate(),
    );
}

/// The main thread is no worker: what it awaits crosses threads.
async fn on_runtime<T: Send + 'static>(shape: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(shape).await.expect("no panic")
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

async fn timed<R: Rival>(rival: &R, item: u64) -> Duration {
    let start = now();
    assert_eq!(rival.submit(item).await, item);
    start.elapsed()
}

async fn closed<R: Rival>(rival: R) -> Latencies {
    let start = now();
    let mut tasks = JoinSet::new();
    for task in 0..CLOSED_TASKS {
        let rival = rival.clone();
        tasks.spawn(async move {
            let mut calls = Vec::with_capacity(100_000);
            let mut item = (task as u64) << 32;
            while start.elapsed() < CLOSED_FOR {
                calls.push(timed(&rival, item).await);
                item += 1;
            }
            calls
        });
    }
    let calls = tasks.join_all().await.into_iter().flatten().collect();
    Latencies::new(calls, start.elapsed())
}

async fn lone<R: Rival>(rival: R) -> Latencies {
    let start = now();
    let mut calls = Vec::new();
    for item in 0..LONE_ITEMS {
        tokio::time::sleep(Duration::from_millis(3 + item % 5)).await;
        calls.push(timed(&rival, item).await);
    }
    Latencies::new(calls, start.elapsed())
}

async fn bursts<R: Rival>(rival: R) -> Latencies {
    let start = now();
    let mut every = tokio::time::interval(BURST_EVERY);
    let mut tasks = JoinSet::new();
    let mut calls = Vec::new();
    for burst in 0..u64::from(BURSTS) {
        every.tick().await;
        for item in 0..BURST_LEN {
            let rival = rival.clone();
            tasks.spawn(async move { timed(&rival, burst * BURST_LEN + item).await });
        }
        while let Some(took) = tasks.join_next().await {
            calls.push(took.expect("no panic"));
        }
    }
    Latencies::new(calls, start.elapsed())
}
