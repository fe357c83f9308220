//! The loads, and how one rival does under each.
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use benches::latency::Latencies;
use std::{
    future::Future,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet};

pub(crate) const POOL_SIZE: usize = 8;
const TASKS: usize = 64;
const FOR: Duration = Duration::from_secs(2);
const STORM: Duration = Duration::from_millis(1500);
const LONE_CALLS: u32 = 200_000;
const LONE_ROUNDS: usize = 15;

/// What is pooled.
#[derive(Debug)]
pub(crate) struct Conn {
    number: usize,
    gauge: Gauge,
}

/// Counts the connections that are open, and the most that ever were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    pub(crate) async fn connect(&self, takes: Duration) -> Conn {
        let number = self.0.0.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.1.fetch_max(number, Ordering::Relaxed);
        let conn = Conn {
            number,
            gauge: self.clone(),
        };
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        conn
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.gauge.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One pool.
pub(crate) trait Rival: Clone + Send + Sync + 'static {
    type Held<'a>: std::ops::Deref<Target = Conn> + Send;

    fn get(&self) -> impl Future<Output = Self::Held<'_>> + Send;

    /// The share of checkouts that needed no new connection, if it knows.
    fn reuse(&self) -> Option<f64> {
        None
    }
}

pub(crate) fn print_head() {
    println!(
        "{:<30} {:>8}  {:>9} {:>7} {:>7}  {:>7} {:>9} {:>7}  {:>6}  {:>8} {:>5}  {:>9} {:>5} {:>6}",
        "",
        "lone ns",
        "yield/s",
        "p99 µs",
        "max/min",
        "1 ms/s",
        "p99 µs",
        "max/min",
        "reuse",
        "cold ms",
        "open",
        "storm/s",
        "open",
        "served"
    );
}

/// One line of the table; each load has a pool of its own.
pub(crate) fn run<R: Rival>(name: &str, make: impl Fn(Gauge, Duration) -> R) {
    let lone_ns = lone(&make);
    let runtime = two_threads();
    let (yields, sleeps, reuse) = runtime.block_on(async {
        let rival = make(Gauge::default(), Duration::ZERO);
        let yields = hold(&rival, Hold::Yield).await;
        let rival = make(Gauge::default(), Duration::ZERO);
        let sleeps = hold(&rival, Hold::Sleep).await;
        (yields, sleeps, rival.reuse())
    });
    let (cold, cold_open) = runtime.block_on(cold_start(&make));
    let (storm_rate, storm_open, served) = runtime.block_on(storm(&make));
    let us = |load: &Load| load.waits.percentile(99).as_secs_f64() * 1e6;
    println!(
        "{name:<30} {lone_ns:>8.1}  {:>9.0} {:>7.0} {:>7.2}  {:>7.0} {:>9.0} {:>7.2}  {:>6}  {:>8.1} {:>5}  {:>9.0} {:>5} {:>6}",
        yields.waits.rate(),
        us(&yields),
        yields.unfairness,
        sleeps.waits.rate(),
        us(&sleeps),
        sleeps.unfairness,
        reuse.map_or_else(|| "-".to_owned(), |share| format!("{:.2}%", share * 100.0)),
        cold.as_secs_f64() * 1e3,
        cold_open,
        storm_rate,
        storm_open,
        served,
    );
}

fn two_threads() -> Runtime {
    let threads = std::env::var("THREADS")
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(2);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The best round, because noise only ever adds.
fn lone<R: Rival>(make: &impl Fn(Gauge, Duration) -> R) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let rival = make(Gauge::default(), Duration::ZERO);
        drop(rival.get().await);
        let mut best = f64::INFINITY;
        for _ in 0..LONE_ROUNDS {
            let start = Instant::now();
            for _ in 0..LONE_CALLS {
                black_box(rival.get().await.number);
            }
            best = best.min(start.elapsed().as_nanos() as f64 / f64::from(LONE_CALLS));
            tokio::task::yield_now().await;
        }
        best
    })
}

#[derive(Clone, Copy)]
enum Hold {
    Yield,
    Sleep,
}

struct Load {
    waits: Latencies,
    /// Checkouts of the task with most by those of the one with fewest.
    unfairness: f64,
}

async fn hold<R: Rival>(rival: &R, hold: Hold) -> Load {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let rival = rival.clone();
        tasks.spawn(async move {
            let mut waits = Vec::with_capacity(200_000);
            while start.elapsed() < FOR {
                let asked = Instant::now();
                let held = rival.get().await;
                waits.push(asked.elapsed());
                match hold {
                    Hold::Yield => tokio::task::yield_now().await,
                    Hold::Sleep => tokio::time::sleep(Duration::from_millis(1)).await,
                }
                black_box(held.number);
            }
            waits
        });
    }
    let waits = tasks.join_all().await;
    let took = start.elapsed();
    let counts = waits.iter().map(Vec::len);
    let (most, fewest) = (counts.clone().max(), counts.min());
    Load {
        unfairness: most.unwrap_or(0) as f64 / fewest.unwrap_or(0).max(1) as f64,
        waits: Latencies::new(waits.into_iter().flatten().collect(), took),
    }
}

/// 64 tasks find nothing open, and a connect takes 5 ms.
async fn cold_start<R: Rival>(make: &impl Fn(Gauge, Duration) -> R) -> (Duration, usize) {
    let gauge = Gauge::default();
    let rival = make(gauge.clone(), Duration::from_millis(5));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let rival = rival.clone();
        tasks.spawn(async move {
            let held = rival.get().await;
            tokio::task::yield_now().await;
            black_box(held.number);
        });
    }
    tasks.join_all().await;
    (start.elapsed(), gauge.most())
}

/// Tasks that lose patience after some microseconds; afterwards, how many of 8
/// that ask at once and hold are served.
async fn storm<R: Rival>(make: &impl Fn(Gauge, Duration) -> R) -> (f64, usize, usize) {
    let gauge = Gauge::default();
    let rival = make(gauge.clone(), Duration::ZERO);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let rival = rival.clone();
        tasks.spawn(async move {
            let (mut asked, mut patience) = (0usize, task);
            while start.elapsed() < STORM {
                patience = (patience * 31 + 7) % 9;
                let cancel = async {
                    for _ in 0..patience {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    held = rival.get() => {
                        tokio::task::yield_now().await;
                        black_box(held.number);
                    }
                    () = cancel => {}
                }
                asked += 1;
            }
            asked
        });
    }
    let asked: usize = tasks.join_all().await.into_iter().sum();
    let rate = asked as f64 / start.elapsed().as_secs_f64();
    let mut held = Vec::new();
    for _ in 0..POOL_SIZE {
        let rival = rival.clone();
        let get = tokio::spawn(async move {
            let held = rival.get().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(held);
        });
        held.push(get);
    }
    let mut served = 0;
    for get in held {
        let served_in_time = tokio::time::timeout(Duration::from_secs(2), get).await;
        served += usize::from(served_in_time.is_ok());
    }
    (rate, gauge.most(), served)
}
