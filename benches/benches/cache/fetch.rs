//! Loading what is missing: a hit, a miss with a loader that is ready, and ten
//! thousand tasks that miss one key at once.

use crate::{peers::fetch_peers, traces::Zipf};
use bytes::Bytes;
use mcp_cache::{Cache, ClockKind, Config, Loaded};
use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

const KEYS: u64 = 100_000;
const READS: usize = 300_000;
const ROUNDS: usize = 9;
const TASKS: usize = 10_000;
const LOAD: Duration = Duration::from_millis(5);

/// A cache whose get_or_fetch is timed.
pub(crate) trait Fetcher: Send + Sync + 'static {
    fn fetch(
        &self,
        key: u64,
        load: impl Future<Output = Bytes> + Send + 'static,
    ) -> impl Future<Output = Bytes> + Send;
}

type Hits = Box<dyn Fn(&Runtime, &[u64]) -> Duration>;

/// How a rival is made, and what is done with it: each returns the time it took.
pub(crate) struct FetchRival {
    name: &'static str,
    hits: Hits,
    misses: Box<dyn Fn(&Runtime) -> Duration>,
    crowd: Box<dyn Fn(&Runtime) -> Duration>,
}

impl FetchRival {
    pub(crate) fn new<F: Fetcher>(name: &'static str, make: fn() -> F) -> Self {
        let full = make();
        let is_full = std::cell::Cell::new(false);
        let value = Bytes::from(vec![7; 1_024]);
        let hits = move |runtime: &Runtime, keys: &[u64]| {
            if !is_full.replace(true) {
                runtime.block_on(fetch_all(&full, 0..KEYS, &value));
            }
            timed(|| runtime.block_on(fetch_all(&full, keys.iter().copied(), &value)))
        };
        let misses = move |runtime: &Runtime| {
            let (empty, value) = (make(), Bytes::from(vec![7; 1_024]));
            timed(|| runtime.block_on(fetch_all(&empty, 0..KEYS, &value)))
        };
        Self {
            name,
            hits: Box::new(hits),
            misses: Box::new(misses),
            crowd: Box::new(move |runtime| timed_crowd(runtime, make())),
        }
    }
}

async fn fetch_all<F: Fetcher>(cache: &F, keys: impl Iterator<Item = u64>, value: &Bytes) {
    for key in keys {
        std::hint::black_box(cache.fetch(key, ready(value.clone())).await);
    }
}

fn timed_crowd<F: Fetcher>(runtime: &Runtime, cache: F) -> Duration {
    let cache = Arc::new(cache);
    timed(|| {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let cache = Arc::clone(&cache);
                    tokio::spawn(async move {
                        let load = async {
                            tokio::time::sleep(LOAD).await;
                            Bytes::from_static(b"loaded")
                        };
                        cache.fetch(1, load).await
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The facade, with either clock.
struct Ours(Cache<u64, Bytes>);

impl Ours {
    fn new(clock: ClockKind) -> Self {
        let config = Config {
            clock,
            bytes_max: None,
            entries_max: std::num::NonZero::new(2 * KEYS),
            ..Config::default()
        };
        Self(Cache::new(&config).expect("valid"))
    }
}

impl Fetcher for Ours {
    async fn fetch(&self, key: u64, load: impl Future<Output = Bytes> + Send + 'static) -> Bytes {
        let load = || async { Ok::<_, Infallible>(Loaded::new(load.await)) };
        match self.0.get_or_fetch(&key, load).await {
            Ok(answer) => answer.value,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn print() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let ours = [
        FetchRival::new("mcp-cache, coarse clock", || Ours::new(ClockKind::Coarse)),
        FetchRival::new("mcp-cache, precise clock", || Ours::new(ClockKind::Precise)),
    ];
    let rivals: Vec<_> = ours.into_iter().chain(fetch_peers()).collect();
    let keys: Vec<u64> = Zipf::new(100_000, 0.99, 3)
        .keys(READS)
        .into_iter()
        .map(|rank| rank * 7_919 % KEYS)
        .collect();
    let mut rounds = vec![[Vec::new(), Vec::new(), Vec::new()]; rivals.len()];
    for _ in 0..ROUNDS {
        for (rival, [hits, misses, crowd]) in rivals.iter().zip(&mut rounds) {
            hits.push((rival.hits)(&runtime, &keys).as_nanos() as f64 / READS as f64);
            misses.push((rival.misses)(&runtime).as_nanos() as f64 / KEYS as f64);
            crowd.push((rival.crowd)(&runtime).as_secs_f64() * 1e3);
        }
    }
    println!("\nget_or_fetch, best of {ROUNDS} rounds (median of the crowd's)");
    println!(
        "  {:<28} {:>14} {:>14} {:>22}",
        "", "hit, ns", "miss, ns", "10,000 tasks, ms"
    );
    for (rival, rounds) in rivals.iter().zip(rounds) {
        let [hits, misses, crowd] = rounds.map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            rounds
        });
        println!(
            "  {:<28} {:>14.0} {:>14.0} {:>12.1} best {:>4.1}",
            rival.name,
            hits[0],
            misses[0],
            crowd[ROUNDS / 2],
            crowd[0]
        );
    }
    println!("  target                               <= 230         <= 560        <= 8.5");
}
