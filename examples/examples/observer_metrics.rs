//! What the crates report, on the `metrics` facade.
//!
//! ```text
//! cargo run -p examples --example observer_metrics
//! ```
//!
//! The crates name no metrics library: each has a trait `Observer` for what
//! happens, and counters to be read. `Facade` implements all five and passes
//! them on; where they go from there is the business of whichever recorder the
//! program installs, such as an exporter to Prometheus. The one at the end only
//! counts, so that this example can say what arrived.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::check;
use mcp_batch::{BatchProcessor, BatchRecord, DropReason};
use mcp_breaker::{Breaker, Outcome, Rejected, Transition};
use mcp_cache::{Cache, Invalidated, LoadEnd, Loaded};
use mcp_pool::{CloseReason, Manager, Pool};
use mcp_streaming::{Budget, BudgetConfig, EndReason, Scope, StreamConfig};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Passes on what the five crates report. Labels are from small, fixed sets: never keys or ids.
#[derive(Debug, Clone, Copy)]
struct Facade;

impl mcp_breaker::Observer for Facade {
    fn on_transition(&self, transition: &Transition) {
        metrics::counter!("breaker_transitions", "to" => format!("{:?}", transition.to))
            .increment(1);
    }

    fn on_settled(&self, outcome: Outcome, took: Option<Duration>) {
        metrics::counter!("breaker_calls", "outcome" => format!("{outcome:?}")).increment(1);
        if let Some(took) = took {
            metrics::histogram!("breaker_call_seconds").record(took);
        }
    }

    fn on_rejected(&self, _: &Rejected) {
        metrics::counter!("breaker_rejected").increment(1);
    }
}

impl mcp_cache::Observer for Facade {
    fn on_load(&self, ended: LoadEnd, took: Duration) {
        metrics::counter!("cache_loads", "ended" => format!("{ended:?}")).increment(1);
        metrics::histogram!("cache_load_seconds").record(took);
    }

    fn on_invalidated(&self, _: Invalidated<'_>) {
        metrics::counter!("cache_invalidations").increment(1);
    }
}

impl mcp_batch::Observer for Facade {
    fn on_batch(&self, batch: &BatchRecord) {
        metrics::histogram!("batch_items").record(batch.size as f64);
    }

    fn on_dropped(&self, reason: DropReason) {
        metrics::counter!("batch_dropped", "reason" => format!("{reason:?}")).increment(1);
    }
}

impl mcp_pool::Observer for Facade {
    fn on_opened(&self, took: Duration) {
        metrics::histogram!("pool_connect_seconds").record(took);
    }

    fn on_closed(&self, reason: CloseReason, _: u64) {
        metrics::counter!("pool_closed", "reason" => format!("{reason:?}")).increment(1);
    }
}

impl mcp_streaming::Observer for Facade {
    fn on_high(&self, scope: Scope, _: u64, _: u64) {
        metrics::counter!("streams_high", "scope" => format!("{scope:?}")).increment(1);
    }

    fn on_ended(&self, _: u64, reason: EndReason) {
        metrics::counter!("streams_ended", "reason" => format!("{reason:?}")).increment(1);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let counts = Counts::default();
    metrics::set_global_recorder(counts.clone())?;
    let facade = Arc::new(Facade);

    let breaker = Breaker::with_observer(&mcp_breaker::Config::default(), facade.clone())?;
    for _ in 0..6 {
        // The sixth is refused.
        let _ = breaker.call(|| async { Err::<(), _>("down") }).await;
    }

    let cache: Cache<u32, u32> = Cache::builder(&mcp_cache::Config::default())
        .observer(facade.clone())
        .build()?;
    for _ in 0..2 {
        let load = || async { Ok::<_, Infallible>(Loaded::new(1).tags(["numbers"])) };
        cache.get_or_fetch(&1, load).await?;
    }
    cache.invalidate_by_tags(&["numbers"]);
    metrics::counter!("cache_hits").absolute(cache.stats().hits);

    let batch = BatchProcessor::<u32, u32, Infallible>::builder(&mcp_batch::Config::default())
        .observer(facade.clone())
        .build(|items: Vec<u32>| async move { items.into_iter().map(Ok).collect() })?;
    batch.process_batch((0..10).collect()).await;
    batch.shutdown().await;

    let pool = Pool::<Numbers>::builder(&mcp_pool::Config::default())
        .observer(facade.clone())
        .build(Numbers)?;
    drop(pool.get().await?);
    pool.close().await;

    let budget = Budget::with_observer(&BudgetConfig::default(), facade)?;
    let (tx, mut rx) = budget.stream(&StreamConfig::default())?;
    tx.send("event").await?;
    tx.finish();
    while rx.next().await.is_some() {}

    let counts = counts.take();
    for (name, count) in &counts {
        println!("{name} {count}");
    }
    let is = |name: &str, expect| counts.get(name) == Some(&expect);
    check(is("breaker_calls{outcome=Failure}", 5), "a breaker's calls")?;
    check(is("breaker_rejected", 1), "and what it refused")?;
    check(is("breaker_transitions{to=Open}", 1), "and that it opened")?;
    check(is("cache_loads{ended=Stored}", 1), "a cache's loads")?;
    check(is("cache_hits", 1), "and its hits, which it counts itself")?;
    check(is("cache_invalidations", 1), "and what was invalidated")?;
    check(counts["batch_items"] >= 1, "a processor's batches")?;
    check(is("pool_connect_seconds", 1), "a pool's connections")?;
    check(is("streams_ended{reason=Finished}", 1), "a stream's end")
}

struct Numbers;

impl Manager for Numbers {
    type Connection = u32;
    type Error = Infallible;

    async fn connect(&self) -> Result<u32, Infallible> {
        Ok(0)
    }
}

/// A recorder that counts: a counter by what it says, a histogram by its samples.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Counts {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()))
            .collect();
        let name = match labels.is_empty() {
            true => key.name().to_owned(),
            false => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.entry(name).or_default().clone()
    }

    fn take(&self) -> BTreeMap<String, u64> {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read =
            |(name, cell): (&String, &Arc<AtomicU64>)| (name.clone(), cell.load(Ordering::Relaxed));
        cells.iter().map(read).collect()
    }
}

struct Samples(Arc<AtomicU64>);

impl metrics::HistogramFn for Samples {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Samples(self.cell(key))))
    }
}
