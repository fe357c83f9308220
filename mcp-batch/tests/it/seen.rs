//! What is seen from outside: counters, histograms, the history, the observer.

use crate::support::{config, doubling, ms, settle};
use mcp_batch::{
    BatchProcessor, BatchRecord, Config, DropReason, Ending, Error, Histogram, Observer, Overflow,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn filled(histogram: &Histogram) -> Vec<(u64, u64)> {
    let buckets = histogram.buckets();
    buckets.filter(|(_, count)| *count > 0).collect()
}

/// One slot: a batch of one, then one of 40 that waited for it.
#[tokio::test(start_paused = true)]
async fn batches_are_counted_by_size_wait_and_run() {
    let config = Config {
        max_concurrent_batches: 1,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let first = numbers.try_submit(1).expect("room");
    tokio::time::sleep(ms(2)).await;
    let rest: Vec<_> = (1..=60).map(|item| numbers.try_submit(item)).collect();
    assert_eq!(first.await, Ok(2));
    for ticket in rest {
        ticket.expect("room").await.expect("a result");
    }
    settle().await;
    let stats = numbers.stats();
    assert_eq!(filled(&stats.sizes), [(1, 1), (16, 1), (64, 1)]);
    assert_eq!((stats.sizes.sum(), stats.sizes.count()), (61, 3));
    // None, 8 ms, and 18 ms; the buckets are powers of two in microseconds.
    assert_eq!(filled(&stats.waits), [(1, 1), (8_192, 50), (32_768, 10)]);
    assert_eq!(stats.waits.sum(), 50 * 8_000 + 10 * 18_000);
    assert_eq!(filled(&stats.runs), [(16_384, 3)]);
    assert_eq!(stats.runs.quantile(0.99), 16_384);
    let history = numbers.performance_history();
    let seen: Vec<_> = history
        .iter()
        .map(|batch| (batch.size, batch.left, batch.waited, batch.ran))
        .collect();
    let expect = [
        (1, 0, ms(0), ms(10)),
        (50, 10, ms(8), ms(10)),
        (10, 0, ms(18), ms(10)),
    ];
    assert_eq!(seen, expect);
    assert!(history.iter().all(|batch| batch.target == 50));
    let written = serde_json::to_value(stats).expect("numbers");
    assert_eq!(written["sizes"]["sum"], 61);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_bounded() {
    for history_len in [0, 3] {
        let config = Config {
            history_len,
            ..config()
        };
        let (numbers, _) = doubling(&config, ms(1));
        for item in 1..=5 {
            numbers.submit(item).await.expect("a result");
        }
        assert_eq!(numbers.performance_history().len(), history_len);
        assert_eq!(numbers.stats().batches, 5);
    }
    assert_eq!(size_of::<BatchRecord>(), 64, "as the configuration says");
}

/// 20 ms and 2 ms an item, and then batches that panic at once.
#[tokio::test(start_paused = true)]
async fn the_fit_is_shown_and_failures_teach_nothing() {
    let config = Config {
        adaptive_sizing: true,
        max_concurrent_batches: 1,
        ..config()
    };
    let processor = BatchProcessor::<u64, u64, ()>::new(&config, |items: Vec<u64>| async move {
        assert!(!items.contains(&666), "a bad item");
        tokio::time::sleep(ms(20 + 2 * items.len() as u64)).await;
        items.into_iter().map(Ok).collect()
    });
    let numbers = processor.expect("a valid configuration");
    numbers.process_batch((0..600).collect()).await;
    let before = numbers.stats();
    let near = |cost: Option<Duration>, expect: Duration| {
        let cost = cost.expect("a line");
        assert!(cost.abs_diff(expect) < expect / 20, "{cost:?}");
    };
    near(before.batch_cost, ms(20));
    near(before.item_cost, ms(2));
    for _ in 0..10 {
        assert_eq!(numbers.submit(666).await, Err(Error::Panicked));
    }
    let after = numbers.stats();
    assert_eq!(after.panicked, 10);
    assert_eq!(after.batch_cost, before.batch_cost);
    assert_eq!(after.target, before.target);
}

#[test]
fn only_what_never_started_is_retryable() {
    let waited = ms(1);
    let check = |error: Error<()>, retryable| assert_eq!(error.is_retryable(), retryable);
    check(Error::Overloaded { limit: 1 }, true);
    check(Error::Shed { waited }, true);
    check(Error::DeadlineExceeded, false);
    check(Error::Closed, false);
    check(Error::Abandoned, false);
    check(Error::Panicked, false);
    check(Error::Item(()), false);
    assert_eq!(Error::Item(7).into_item(), Some(7));
    assert_eq!(Error::<u64>::Closed.into_item(), None);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn on_batch(&self, batch: &BatchRecord) {
        let line = format!("{} {:?} {:?}", batch.size, batch.ending, batch.ran);
        self.0.lock().expect("no panic").push(line);
    }

    fn on_dropped(&self, reason: DropReason) {
        self.0.lock().expect("no panic").push(format!("{reason:?}"));
    }
}

/// Each item that is dropped and each batch, but no batch of nobody.
#[tokio::test(start_paused = true)]
async fn an_observer_hears_everything_once() {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 2,
        overflow: Overflow::ShedOldest,
        ..config()
    };
    let heard = Arc::new(Heard::default());
    let builder = BatchProcessor::builder(&config).observer(heard.clone());
    let (numbers, seen) = crate::support::doubling_with(builder, ms(10));
    drop(numbers.try_submit(1).expect("room"));
    settle().await;
    let stats = numbers.stats();
    assert_eq!(
        (stats.batches, stats.sizes.count(), stats.cancelled),
        (0, 0, 1)
    );
    assert!(numbers.performance_history().is_empty());
    let running = numbers.try_submit(2).expect("room");
    settle().await;
    let kept = [3, 4, 5].map(|item| numbers.try_submit(item).expect("a place"));
    drop(kept);
    numbers.flush().await;
    assert_eq!(running.await, Ok(4));
    assert_eq!(seen.sizes(), [1]);
    let heard = heard.0.lock().expect("no panic");
    let expect = [
        "Cancelled",
        "Shed",
        "1 Answered 10ms",
        "Cancelled",
        "Cancelled",
    ];
    assert_eq!(*heard, expect);
    assert_eq!(numbers.performance_history()[0].ending, Ending::Answered);
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_refusals() {
    let config = Config {
        queue_len_max: 1,
        ..config()
    };
    let heard = Arc::new(Heard::default());
    let builder = BatchProcessor::builder(&config).observer(heard.clone());
    let (numbers, _) = crate::support::doubling_with(builder, ms(10));
    let kept = numbers.try_submit(1).expect("room");
    let refused = numbers.try_submit(2).map(drop);
    assert_eq!(refused, Err(Error::Overloaded { limit: 1 }));
    assert_eq!(*heard.0.lock().expect("no panic"), ["Overloaded"]);
    assert_eq!(kept.await, Ok(2));
}
