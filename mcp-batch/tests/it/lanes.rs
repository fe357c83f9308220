//! Lanes take turns and keep their order; equal items are given once.

use crate::support::{config, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, Config};

fn one_slot() -> Config {
    Config {
        max_concurrent_batches: 1,
        max_batch_size: 10,
        ..config()
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_lane_does_not_starve_the_others() {
    let builder = BatchProcessor::builder(&one_slot()).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(10));
    let busy: Vec<_> = (100..190).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let quiet = numbers.try_submit(200).expect("room");
    assert_eq!(quiet.await, Ok(400));
    // After the batch at work and one more.
    assert_eq!(seen.batches()[2], [200]);
    for ticket in busy {
        ticket.expect("room").await.expect("a result");
    }
    for batch in seen.batches() {
        assert!(
            batch.iter().all(|item| item / 100 == batch[0] / 100),
            "{batch:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_left_behind_meets_the_window() {
    let config = Config {
        max_concurrent_batches: 2,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let first: Vec<_> = (100..140).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let second = numbers.try_submit(200).expect("room");
    let third = numbers.try_submit(300).expect("room");
    second.await.expect("a result");
    third.await.expect("a result");
    assert_eq!(seen.starts(), [ms(0), ms(50), ms(1_000)]);
    drop(first);
}

/// Five slots, one busy for a second: three lanes are due at the same moment.
#[tokio::test(start_paused = true)]
async fn every_lane_meets_its_own_window() {
    let config = Config {
        max_concurrent_batches: 5,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let first: Vec<_> = (100..140).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let mut rest: Vec<_> = [200, 300].map(|item| numbers.try_submit(item)).into();
    tokio::time::sleep(ms(20)).await;
    rest.push(numbers.try_submit(400));
    tokio::time::sleep(ms(500)).await;
    assert_eq!(seen.starts(), [ms(0), ms(50), ms(50), ms(70)]);
    drop((first, rest));
}

/// The lane whose turn it is not is due: those before it start with it.
#[tokio::test(start_paused = true)]
async fn a_list_for_a_busy_lane_does_not_hide_a_full_one() {
    let config = Config {
        max_concurrent_batches: 4,
        max_batch_size: 10,
        ..config()
    };
    let builder = BatchProcessor::builder(&config).lane_by(|item: &u64| item / 100);
    let (numbers, seen) = doubling_with(builder, ms(1_000));
    let busy: Vec<_> = (100..110).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    // The last item of the list is of another lane than the full batch in it.
    let list = numbers.process_batch((200..210).chain([300]).collect());
    assert!(tokio::time::timeout(ms(1), list).await.is_err());
    assert_eq!(seen.batches()[1], (200..210).collect::<Vec<_>>());
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn equal_items_are_given_once() {
    let builder = BatchProcessor::builder(&one_slot()).dedup();
    let (numbers, seen) = doubling_with(builder, ms(10));
    let results = numbers.process_batch(vec![3, 1, 3, 3, 1_000, 1_000]).await;
    let results: Vec<_> = results.into_iter().map(Result::ok).collect();
    assert_eq!(results, [Some(6), Some(2), Some(6), Some(6), None, None]);
    assert_eq!(seen.batches(), [[3, 1, 1_000]]);
    let stats = numbers.stats();
    assert_eq!((stats.items, stats.deduplicated), (6, 3));
}
