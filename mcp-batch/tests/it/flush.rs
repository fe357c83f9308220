//! Flushes: they start what waits, and only that.

use crate::support::{config, doubling, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, Config, Overflow};
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn a_flush_starts_what_waits_and_waits_for_it() {
    let (numbers, seen) = doubling(&config(), ms(1_000));
    let long: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    tokio::time::sleep(ms(5)).await;
    let ticket = numbers.try_submit(41).expect("room");
    settle().await;
    assert_eq!(seen.sizes(), [40], "it waits for company");
    let start = Instant::now();
    numbers.flush().await;
    assert_eq!(start.elapsed(), ms(1_000));
    assert_eq!(seen.starts(), [ms(0), ms(5)]);
    assert_eq!(ticket.await, Ok(82));
    assert_eq!(long.len(), 40);
    assert_eq!(numbers.stats().queued, 0);
    numbers.flush().await;
}

/// A batch of 40 takes a second, those of few a millisecond; an item comes every
/// 7 ms. What came before the flush is started at once, what comes later is
/// collected as ever.
#[tokio::test(start_paused = true)]
async fn a_flush_that_waits_does_not_turn_batching_off() {
    for (flush, most) in [(false, 12), (true, 13)] {
        let processor = BatchProcessor::new(&config(), |items: Vec<u64>| async move {
            tokio::time::sleep(ms(if items.len() > 30 { 1_000 } else { 1 })).await;
            items.into_iter().map(Ok::<u64, ()>).collect()
        });
        let numbers = processor.expect("a valid configuration");
        let mut tickets: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
        settle().await;
        tickets.push(numbers.try_submit(41));
        let flushed = numbers.clone();
        let flushing = flush.then(|| tokio::spawn(async move { flushed.flush().await }));
        settle().await;
        assert_eq!(numbers.stats().queued, usize::from(!flush));
        for item in 0..80 {
            tokio::time::sleep(ms(7)).await;
            tickets.push(numbers.try_submit(item));
        }
        let batches = numbers.stats().batches;
        assert!(batches <= most, "flush {flush}: {batches} batches");
        drop((tickets, flushing));
    }
}

/// Items that leave without being started, skipped, shed or swept, end a flush
/// too.
#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_what_left() {
    for leave in ["skip", "shed", "sweep"] {
        let config = Config {
            max_concurrent_batches: 1,
            queue_len_max: 2,
            overflow: Overflow::ShedOldest,
            ..config()
        };
        let (numbers, _) = doubling(&config, ms(1_000));
        let running = numbers.try_submit(1).expect("room");
        settle().await;
        let waiting = [2, 3].map(|item| numbers.try_submit(item).expect("room"));
        let flushed = numbers.clone();
        let start = Instant::now();
        let flush = tokio::spawn(async move {
            flushed.flush().await;
            start.elapsed()
        });
        settle().await;
        let mut later = Vec::new();
        if leave == "shed" {
            later.extend([4, 5].map(|item| numbers.try_submit(item)));
            drop(waiting);
        } else {
            drop(waiting);
            if leave == "sweep" {
                later.push(numbers.try_submit(4));
            }
        }
        assert!(later.iter().all(Result::is_ok), "{leave}");
        let shed = if leave == "shed" { 2 } else { 0 };
        assert_eq!(numbers.stats().shed, shed, "{leave}");
        assert_eq!(flush.await.expect("no panic"), ms(1_000), "{leave}");
        assert_eq!(running.await, Ok(2));
        let cancelled = if leave == "shed" { 0 } else { 2 };
        assert_eq!(numbers.stats().cancelled, cancelled, "{leave}");
    }
}

/// One slot. At 10 ms ten items of the first lane start, at 20 ms one of the
/// second, which came after the flush: the flush waits for the last two of the
/// first, of whom nobody but it is told when they leave.
#[tokio::test(start_paused = true)]
async fn a_flush_ends_with_the_last_item_that_leaves() {
    for (leave, end) in [("skip", ms(30)), ("shed", ms(25)), ("sweep", ms(25))] {
        let config = Config {
            max_concurrent_batches: 1,
            max_batch_size: 10,
            queue_len_max: 13,
            overflow: Overflow::ShedOldest,
            ..config()
        };
        let builder = BatchProcessor::builder(&config).lane_by(|item: &u64| item / 100);
        let (numbers, _) = doubling_with(builder, ms(10));
        let running = numbers.try_submit(1).expect("room");
        settle().await;
        let mut waiting: Vec<_> = (100..112).map(|item| numbers.try_submit(item)).collect();
        let last = waiting.split_off(10);
        let flushed = numbers.clone();
        let start = Instant::now();
        let flush = tokio::spawn(async move {
            flushed.flush().await;
            start.elapsed()
        });
        settle().await;
        let mut later = vec![numbers.try_submit(200)];
        tokio::time::sleep(ms(25)).await;
        assert_eq!(numbers.stats().queued, 2, "{leave}");
        let more = match leave {
            "shed" => 13,
            "sweep" => 12,
            _ => 0,
        };
        let last = (leave == "shed").then_some(last);
        later.extend((0..more).map(|item| numbers.try_submit(200 + item)));
        assert!(later.iter().all(Result::is_ok), "{leave}");
        let flush = timeout(ms(1_000), flush).await;
        assert_eq!(flush.expect("the end").expect("no panic"), end, "{leave}");
        drop((running, waiting, last));
    }
}
