//! Lists at hand: how they are split, how they share the room, and those with
//! a function of their own.

use crate::support::{Seen, config, double, doubling, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, Config, Error, Overflow};
use std::sync::{Arc, Mutex};
use tokio::{task::JoinHandle, time::Instant};

type List = JoinHandle<Vec<Result<u64, Error<String>>>>;

fn list(numbers: &crate::support::Numbers, items: std::ops::RangeInclusive<u64>) -> List {
    let numbers = numbers.clone();
    tokio::spawn(async move { numbers.process_batch(items.collect()).await })
}

/// A batch of 50 runs on one of three slots: the list takes the other two.
#[tokio::test(start_paused = true)]
async fn a_split_is_started_where_it_was_meant_to() {
    let config = Config {
        max_concurrent_batches: 3,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(1_000));
    let first = list(&numbers, 1..=50);
    settle().await;
    let second = list(&numbers, 1..=60);
    tokio::time::sleep(ms(10)).await;
    assert_eq!(seen.sizes(), [50, 30, 30]);
    assert_eq!(seen.starts(), [ms(0); 3]);
    drop((first, second));
}

/// Adaptive sizes vary to learn, but not where that costs another round.
#[tokio::test(start_paused = true)]
async fn learning_does_not_cost_a_list_a_round() {
    let config = Config {
        adaptive_sizing: true,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    let start = Instant::now();
    for _ in 0..6 {
        numbers.process_batch((1..=100).collect()).await;
    }
    assert_eq!(start.elapsed(), ms(60));
    assert_eq!(seen.sizes(), [50; 12]);
}

/// More than the slots can take at once: there sizes vary, and a line is found.
#[tokio::test(start_paused = true)]
async fn a_long_list_teaches_the_slope() {
    let config = Config {
        adaptive_sizing: true,
        ..config()
    };
    let processor = BatchProcessor::new(&config, |items: Vec<u64>| async move {
        tokio::time::sleep(ms(20 + 2 * items.len() as u64)).await;
        items.into_iter().map(double).collect()
    });
    let numbers = processor.expect("a valid configuration");
    numbers.process_batch((1..=800).collect()).await;
    let stats = numbers.stats();
    assert_eq!(stats.batch_cost.map(|cost| cost.as_millis()), Some(20));
    assert_eq!(stats.item_cost.map(|cost| cost.as_millis()), Some(2));
}

/// Two slots, and a lane of 60 before one of one: the second slot is the other
/// lane's turn, so that the first takes all it may.
#[tokio::test(start_paused = true)]
async fn a_lane_is_not_split_over_other_lanes_slots() {
    let builder = BatchProcessor::builder(&config()).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(10));
    numbers
        .process_batch((100..160).chain([200]).collect())
        .await;
    assert_eq!(seen.sizes(), [50, 1, 10]);
    assert_eq!(seen.starts(), [ms(0), ms(0), ms(10)]);
}

/// The lane that is full is the last in turn: those before it start with it.
#[tokio::test(start_paused = true)]
async fn a_full_lane_behind_others_starts_with_them() {
    let config = Config {
        max_concurrent_batches: 4,
        max_batch_size: 10,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let first = list(&numbers, 100..=109);
    settle().await;
    let quiet = [200, 300].map(|item| numbers.try_submit(item).expect("room"));
    settle().await;
    assert_eq!(seen.sizes(), [10], "two lone items wait for company");
    let full = numbers.process_batch((400..410).chain([500]).collect());
    assert!(tokio::time::timeout(ms(10), full).await.is_err());
    assert_eq!(seen.sizes(), [10, 1, 1, 10]);
    assert_eq!(seen.starts(), [ms(0); 4]);
    drop((first, quiet));
}

/// A full queue, and a list that waits. Each batch that starts makes room for
/// 50, of which the list gets one at a time, and others the rest.
#[tokio::test(start_paused = true)]
async fn a_list_that_waits_leaves_room_for_others() {
    for overflow in [Overflow::Reject, Overflow::ShedOldest] {
        let config = Config {
            max_concurrent_batches: 1,
            queue_len_max: 100,
            overflow,
            ..config()
        };
        let (numbers, _) = doubling(&config, ms(10));
        let running = list(&numbers, 1..=50);
        settle().await;
        let queued: Vec<_> = (1..=100).map(|item| numbers.try_submit(item)).collect();
        let waiting = list(&numbers, 1..=25);
        settle().await;
        assert_eq!(numbers.stats().queued, 100);
        tokio::time::sleep(ms(15)).await;
        assert_eq!(numbers.stats().queued, 75, "the list is in");
        let more: Vec<_> = (1..=25).map(|item| numbers.try_submit(item)).collect();
        assert!(more.iter().all(Result::is_ok));
        let stats = numbers.stats();
        assert_eq!((stats.queued, stats.overloaded, stats.shed), (100, 0, 0));
        running.await.expect("no panic");
        assert!(waiting.await.expect("no panic").iter().all(Result::is_ok));
        drop((queued, more));
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_queue_does_not_split_a_list() {
    let config = Config {
        queue_len_max: 60,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    numbers.process_batch((1..=50).collect()).await;
    assert_eq!(seen.sizes(), [50]);
}

/// As documented: a list waits for room, and others may shed its items.
#[tokio::test(start_paused = true)]
async fn items_of_a_list_may_be_shed() {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 2,
        overflow: Overflow::ShedOldest,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let list = list(&numbers, 2..=3);
    settle().await;
    let newer = numbers.try_submit(4).expect("the place of 2");
    let shed = Err(Error::Shed { waited: ms(0) });
    assert_eq!(list.await.expect("no panic"), [shed, Ok(6)]);
    assert_eq!((running.await, newer.await), (Ok(2), Ok(8)));
}

/// The batches of functions that are given with a list.
#[derive(Debug, Default)]
struct Given(Mutex<Vec<(u64, Vec<u64>)>>);

/// Each item times `factor`, after 10 ms.
fn times(
    factor: u64,
    given: &Arc<Given>,
) -> impl Fn(Vec<u64>) -> futures::Results + Send + Sync + 'static {
    let given = Arc::clone(given);
    move |items| {
        given
            .0
            .lock()
            .expect("no panic")
            .push((factor, items.clone()));
        Box::pin(async move {
            tokio::time::sleep(ms(10)).await;
            items.into_iter().map(|item| Ok(factor * item)).collect()
        })
    }
}

mod futures {
    pub(super) type Results =
        std::pin::Pin<Box<dyn Future<Output = Vec<Result<u64, String>>> + Send>>;
}

#[tokio::test(start_paused = true)]
async fn a_list_may_bring_its_function() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let given = Arc::new(Given::default());
    let start = Instant::now();
    let tasks = [3, 5].map(|factor| {
        let (numbers, function) = (numbers.clone(), times(factor, &given));
        tokio::spawn(async move { numbers.process_with((1..=70).collect(), function).await })
    });
    let own = list(&numbers, 1..=70);
    for (factor, task) in [3, 5].into_iter().zip(tasks) {
        let results = task.await.expect("no panic");
        let expect: Vec<_> = (1..=70).map(|item| Ok(factor * item)).collect();
        assert_eq!(results, expect);
    }
    let expect: Vec<_> = (1..=70).map(|item| Ok(2 * item)).collect();
    assert_eq!(own.await.expect("no panic"), expect);
    assert_eq!(start.elapsed(), ms(30), "six batches, two at a time");
    let own_items: usize = Seen::sizes(&seen).iter().sum();
    assert_eq!(own_items, 70, "no item meets another function");
    for factor in [3, 5] {
        let given = given.0.lock().expect("no panic");
        let items = given.iter().filter(|batch| batch.0 == factor);
        let items: Vec<u64> = items.flat_map(|batch| batch.1.clone()).collect();
        assert!(items.iter().copied().eq(1..=70), "{items:?}");
    }
    let stats = numbers.stats();
    assert_eq!((stats.batches, stats.items), (6, 210));
}

/// The slots are shared: a busy processor makes such a list wait, its window
/// and its own panic are kept, and dropping it skips what has not started.
#[tokio::test(start_paused = true)]
async fn a_list_with_a_function_keeps_the_rules() {
    let config = Config {
        max_concurrent_batches: 1,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    let given = Arc::new(Given::default());
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let dropped = numbers.process_with((1..=100).collect(), times(3, &given));
    assert!(tokio::time::timeout(ms(5), dropped).await.is_err());
    assert_eq!(running.await, Ok(2));
    numbers.flush().await;
    assert!(given.0.lock().expect("no panic").is_empty());
    assert_eq!(numbers.stats().cancelled, 100);
    let panic = |_: Vec<u64>| -> futures::Results { panic!("a bad function") };
    let results = numbers.process_with(vec![1, 2], panic).await;
    assert_eq!(results, [Err(Error::Panicked), Err(Error::Panicked)]);
    let results = numbers.process_with(vec![1, 2], times(3, &given)).await;
    assert_eq!(results, [Ok(3), Ok(6)]);
    assert_eq!(seen.batches(), [[1]]);
    numbers.shutdown().await;
    let results = numbers.process_with(vec![1], times(3, &given)).await;
    assert_eq!(results, [Err(Error::Closed)]);
}
