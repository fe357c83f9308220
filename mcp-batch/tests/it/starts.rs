//! When batches start, how large they are, and how many run at once.

use crate::support::{Numbers, config, double, doubling, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, Config, Error, Overflow};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::{task::JoinSet, time::Instant};

#[tokio::test(start_paused = true)]
async fn a_lone_item_does_not_wait() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let start = Instant::now();
    assert_eq!(numbers.submit(21).await, Ok(42));
    assert_eq!(start.elapsed(), ms(10));
    assert_eq!(seen.batches(), [[21]]);
}

#[tokio::test(start_paused = true)]
async fn two_lone_items_do_not_wait_for_each_other() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let first = numbers.try_submit(1).expect("room");
    settle().await;
    let second = numbers.try_submit(2).expect("room");
    assert_eq!((first.await, second.await), (Ok(2), Ok(4)));
    assert_eq!(seen.starts(), [ms(0), ms(0)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_submits_in_the_same_pass_shares_a_batch() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let mut tasks = JoinSet::new();
    for item in 0..40 {
        let numbers = numbers.clone();
        tasks.spawn(async move { numbers.submit(item).await });
    }
    tasks.join_all().await;
    assert_eq!(seen.sizes(), [40]);
}

#[tokio::test(start_paused = true)]
async fn test_parallel_batch_execution() {
    for slots in [1, 2, 4] {
        let config = Config {
            max_concurrent_batches: slots,
            ..config()
        };
        let (numbers, seen) = doubling(&config, ms(10));
        let start = Instant::now();
        let results = numbers.process_batch((1..=200).collect()).await;
        let rounds = u32::try_from(4 / slots).expect("small");
        assert_eq!(start.elapsed(), ms(10) * rounds, "{slots} slots");
        assert_eq!(seen.sizes(), [50; 4]);
        assert_eq!(seen.most(), slots);
        let expect: Vec<_> = (1..=200).map(|item| Ok(2 * item)).collect();
        assert_eq!(results, expect);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_split_evenly_over_the_free_slots() {
    let check = async |len: u64, sizes: &[usize]| {
        let (numbers, seen) = doubling(&config(), ms(10));
        numbers.process_batch((0..len).collect()).await;
        assert_eq!(seen.sizes(), sizes, "{len}");
    };
    check(0, &[]).await;
    check(1, &[1]).await;
    check(50, &[50]).await;
    check(64, &[32, 32]).await;
    check(99, &[50, 49]).await;
    check(150, &[50, 50, 50]).await;
}

#[tokio::test(start_paused = true)]
async fn results_of_a_list_are_its_own_in_order() {
    let (numbers, _) = doubling(&config(), ms(10));
    let items: Vec<u64> = (0..5_000).rev().collect();
    let results = numbers.process_batch(items.clone()).await;
    for (item, result) in items.into_iter().zip(results) {
        assert_eq!(result, double(item).map_err(Error::Item));
    }
}

/// A batch of 40 takes a second; then an item comes every 7 ms.
#[tokio::test(start_paused = true)]
async fn the_window_is_a_ceiling_under_a_steady_drip() {
    let (numbers, seen) = doubling(&config(), ms(1_000));
    let long = tokio::spawn({
        let numbers = numbers.clone();
        async move { numbers.process_batch((100..140).collect()).await }
    });
    settle().await;
    let mut tickets = Vec::new();
    for item in 0..30 {
        tokio::time::sleep(ms(7)).await;
        tickets.push(numbers.try_submit(item).expect("room"));
    }
    assert_eq!(seen.starts(), [ms(0), ms(57)], "7 ms and the window");
    assert_eq!(seen.sizes(), [40, 8]);
    long.await.expect("no panic");
    for (item, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.await, double(item).map_err(Error::Item));
    }
}

/// Both slots are busy for longer than the window: what waits goes when one
/// ends.
#[tokio::test(start_paused = true)]
async fn a_batch_that_ends_takes_what_waits() {
    let (numbers, seen) = doubling(&config(), ms(300));
    let first = numbers.try_submit(1).expect("room");
    tokio::time::sleep(ms(100)).await;
    let second = numbers.try_submit(2).expect("room");
    tokio::time::sleep(ms(10)).await;
    let third = numbers.try_submit(3).expect("room");
    let fourth = numbers.try_submit(4).expect("room");
    for ticket in [first, second, third, fourth] {
        ticket.await.expect("a result");
    }
    assert_eq!(seen.starts(), [ms(0), ms(100), ms(300)]);
    assert_eq!(seen.batches(), [vec![1], vec![2], vec![3, 4]]);
}

/// A batch of 40 runs. One slot is free: 40 more are its fair share.
#[tokio::test(start_paused = true)]
async fn a_fair_share_does_not_wait_for_the_window() {
    let (numbers, seen) = doubling(&config(), ms(1_000));
    let first: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
    tokio::time::sleep(ms(3)).await;
    let second: Vec<_> = (1..=39).map(|item| numbers.try_submit(item)).collect();
    tokio::time::sleep(ms(3)).await;
    assert_eq!(seen.sizes(), [40], "39 wait for company");
    let last = numbers.try_submit(80);
    settle().await;
    assert_eq!(seen.sizes(), [40, 40]);
    assert_eq!(seen.starts(), [ms(0), ms(6)]);
    drop((first, second, last));
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_a_batch() {
    let config = Config {
        batch_bytes_max: Some(100),
        max_concurrent_batches: 1,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).weigh_by(|bytes: &u64| *bytes);
    let (numbers, seen) = doubling_with(builder, ms(10));
    numbers.process_batch(vec![60, 30, 20, 500, 0, 1, 99]).await;
    let expect = [vec![60, 30], vec![20], vec![500], vec![0, 1, 99]];
    assert_eq!(seen.batches(), expect);
}

/// A batch of 40 runs; items of one byte wait for company, until the bytes of
/// a batch are together. Those that left do not count.
#[tokio::test(start_paused = true)]
async fn bytes_start_a_batch() {
    let config = Config {
        batch_bytes_max: Some(100),
        queue_len_max: 40,
        overflow: Overflow::ShedOldest,
        ..config()
    };
    let weigh = |item: &u64| if *item < 1_000 { 1 } else { item - 1_000 };
    let builder = BatchProcessor::builder(&config).weigh_by(weigh);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let first: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let heavy = numbers.try_submit(1_090).expect("room");
    let light: Vec<_> = (1..=9).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    assert_eq!(seen.sizes(), [40], "99 bytes wait for company");
    let last = numbers.try_submit(10).expect("room");
    settle().await;
    assert_eq!(seen.sizes(), [40, 11]);
    drop((first, heavy, light, last));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_shed_do_not_count() {
    let config = Config {
        batch_bytes_max: Some(100),
        queue_len_max: 2,
        overflow: Overflow::ShedOldest,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).weigh_by(|item: &u64| *item);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let first = [1, 2].map(|item| numbers.try_submit(item).expect("room"));
    settle().await;
    let second = [90, 5].map(|item| numbers.try_submit(item).expect("room"));
    settle().await;
    assert_eq!(seen.sizes(), [2, 2], "two are the fair share of two");
    drop((first, second));
    tokio::time::sleep(ms(1_000)).await;
    let long = numbers.process_batch(vec![1, 2]);
    let mut long = Box::pin(long);
    assert!(tokio::time::timeout(ms(1), &mut long).await.is_err());
    let shed = numbers.try_submit(99).expect("room");
    settle().await;
    assert_eq!(seen.sizes(), [2, 2, 2], "one waits for company");
    let kept = [1, 2].map(|item| numbers.try_submit(item).expect("a place"));
    settle().await;
    assert!(shed.await.is_err());
    assert_eq!(seen.sizes(), [2, 2, 2, 2]);
    drop((long, kept));
}

#[tokio::test(start_paused = true)]
async fn weights_may_be_of_any_size() {
    let config = Config {
        batch_bytes_max: Some(u64::MAX),
        max_concurrent_batches: 1,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).weigh_by(|_: &u64| u64::MAX);
    let (numbers, seen) = doubling_with(builder, ms(10));
    let results = numbers.process_batch(vec![1, 2, 3]).await;
    assert_eq!(results, [Ok(2), Ok(4), Ok(6)]);
    assert_eq!(seen.sizes(), [1, 1, 1]);
    numbers.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn weights_are_not_asked_without_a_limit() {
    let weigh = |_: &u64| panic!("nobody asked");
    let (numbers, _) = doubling_with(Numbers::builder(&config()).weigh_by(weigh), ms(10));
    assert_eq!(numbers.submit(1).await, Ok(2));
}

/// The function computes and never waits, and each batch brings the next: the
/// other tasks of the thread get their turn between any two of them.
#[tokio::test(start_paused = true)]
async fn a_function_that_never_waits_does_not_starve_its_runtime() {
    const BATCHES: u64 = 200;
    let handle: Arc<OnceLock<BatchProcessor<u64, u64, ()>>> = Arc::default();
    let tickets = Arc::new(Mutex::new(Vec::new()));
    let (inside, held) = (Arc::clone(&handle), Arc::clone(&tickets));
    let processor = BatchProcessor::new(&config(), move |items: Vec<u64>| {
        let numbers = inside.get().expect("set before the first item");
        if numbers.stats().batches < BATCHES {
            let mut held = held.lock().expect("no panic");
            held.extend((0..200).filter_map(|item| numbers.try_submit(item).ok()));
        }
        async move { items.into_iter().map(Ok).collect() }
    });
    let numbers = processor.expect("a valid configuration");
    handle.set(numbers.clone()).expect("once");
    let first = numbers.try_submit(1).expect("room");
    let mut turns = 0;
    while numbers.stats().batches < BATCHES {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(turns >= BATCHES / 4, "{turns} turns");
    assert_eq!(first.await, Ok(1));
}

/// Real sizes through the shell: a batch takes 20 ms and 2 ms an item, and
/// the goal is 42 ms, which 11 items reach.
#[tokio::test(start_paused = true)]
async fn a_latency_goal_bounds_the_batches() {
    let config = Config {
        adaptive_sizing: true,
        latency_goal: Some(ms(42)),
        max_concurrent_batches: 1,
        ..Config::default()
    };
    let processor = BatchProcessor::new(&config, |items: Vec<u64>| async move {
        tokio::time::sleep(ms(20 + 2 * items.len() as u64)).await;
        items.into_iter().map(double).collect()
    })
    .expect("a valid configuration");
    processor.process_batch((0..1_000).collect()).await;
    let history = processor.performance_history();
    for batch in history.iter().skip(20).filter(|batch| batch.left > 0) {
        assert!((6..=11).contains(&batch.size), "{batch:?}");
    }
    assert!(history.len() > 30);
    let stats = processor.stats();
    assert!((10..=11).contains(&stats.target), "{stats:?}");
    assert_eq!(stats.items, 1_000);
}
