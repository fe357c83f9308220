//! Callers that go away at each point where they wait.

use crate::support::{config, doubling, ms, settle};
use mcp_batch::{Config, Error, Overflow};
use std::future::Future;
use tokio::time::{Instant, timeout};

fn one_slot() -> Config {
    Config {
        max_concurrent_batches: 1,
        queue_len_max: 3,
        overflow: Overflow::Wait,
        ..config()
    }
}

/// `submit` is dropped while it waits for room, in the queue, and in the batch.
#[tokio::test(start_paused = true)]
async fn a_caller_may_go_away_at_every_wait() {
    for (point, taken, cancelled) in [("room", 4, 0), ("queue", 4, 1), ("batch", 4, 0)] {
        let (numbers, seen) = doubling(&one_slot(), ms(10));
        let running = numbers.clone();
        let mut running = Box::pin(async move { running.submit(1).await });
        assert!(timeout(ms(1), &mut running).await.is_err());
        let gone = numbers.submit(4);
        let mut kept = Vec::new();
        match point {
            "room" => {
                kept.extend((1..=3).map(|item| numbers.try_submit(item).expect("room")));
                assert!(timeout(ms(1), gone).await.is_err());
            }
            "queue" => {
                assert!(timeout(ms(1), gone).await.is_err());
                kept.extend((1..=2).map(|item| numbers.try_submit(item).expect("room")));
            }
            _ => {
                kept.extend((1..=2).map(|item| numbers.try_submit(item).expect("room")));
                let late = timeout(ms(12), gone).await;
                assert!(late.is_err());
            }
        }
        assert_eq!(running.await, Ok(2));
        for ticket in kept {
            ticket.await.expect("a result");
        }
        numbers.flush().await;
        settle().await;
        let stats = numbers.stats();
        assert_eq!(
            (stats.submitted, stats.cancelled),
            (taken, cancelled),
            "{point}"
        );
        assert_eq!((stats.queued, stats.running), (0, 0), "{point}");
        let reached = seen.batches().concat().contains(&4);
        assert_eq!(reached, point == "batch", "{point}");
        let room: Vec<_> = (1..=3).map(|item| numbers.try_submit(item)).collect();
        assert!(room.iter().all(Result::is_ok), "{point}: all room is back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_nobody_is_not_run() {
    let (numbers, seen) = doubling(&config(), ms(10));
    for item in 1..=100 {
        drop(numbers.try_submit(item).expect("room"));
    }
    assert_eq!(numbers.submit(7).await, Ok(14));
    assert_eq!(seen.batches(), [[7]]);
    let stats = numbers.stats();
    assert_eq!((stats.cancelled, stats.batches, stats.items), (100, 1, 1));
    let room: Vec<_> = (0..1_000).map(|item| numbers.try_submit(item)).collect();
    assert!(room.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_list_may_be_dropped_half_way() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let list = numbers.process_batch((1..=500).collect());
    assert!(timeout(ms(15), list).await.is_err());
    numbers.flush().await;
    assert_eq!(seen.sizes(), [50; 4], "the rest is skipped");
    assert_eq!(numbers.stats().queued, 0);
    assert_eq!(numbers.submit(1).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_item_past_its_deadline_is_skipped() {
    let (numbers, seen) = doubling(&one_slot(), ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let start = Instant::now();
    let late = numbers.submit_by(2, start + ms(5)).await;
    assert_eq!(late, Err(Error::DeadlineExceeded));
    assert_eq!(start.elapsed(), ms(5));
    assert_eq!(running.await, Ok(2));
    assert_eq!(numbers.submit_by(3, Instant::now() + ms(30)).await, Ok(6));
    assert_eq!(seen.batches(), [[1], [3]]);
}

/// A flush that is dropped still starts what waits.
#[tokio::test(start_paused = true)]
async fn a_flush_may_be_dropped() {
    let (numbers, seen) = doubling(&config(), ms(1_000));
    let long: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let waiting = numbers.try_submit(41).expect("room");
    {
        let mut flush = Box::pin(numbers.flush());
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(flush.as_mut().poll(cx)));
        assert!(poll.await.is_pending());
    }
    settle().await;
    assert_eq!(seen.sizes(), [40, 1]);
    assert_eq!(waiting.await, Ok(82));
    drop(long);
}

/// `submit_by` is dropped where it waits for room, in the queue, and in the
/// batch.
#[tokio::test(start_paused = true)]
async fn a_caller_with_a_deadline_may_go_away_at_every_wait() {
    for (point, ahead, taken, cancelled) in
        [("room", 3, 4, 0), ("queue", 2, 4, 1), ("batch", 0, 2, 0)]
    {
        let (numbers, seen) = doubling(&one_slot(), ms(10));
        let running = numbers.try_submit(1).expect("room");
        settle().await;
        let kept: Vec<_> = (1..=ahead).map(|item| numbers.try_submit(item)).collect();
        let deadline = Instant::now() + ms(1_000);
        let wait = if point == "batch" { ms(12) } else { ms(2) };
        let gone = numbers.submit_by(4, deadline);
        assert!(timeout(wait, gone).await.is_err(), "{point}");
        numbers.flush().await;
        let stats = numbers.stats();
        let seen_of_it = (stats.submitted, stats.cancelled);
        assert_eq!(seen_of_it, (taken, cancelled), "{point}");
        let reached = seen.batches().concat().contains(&4);
        assert_eq!(reached, point == "batch", "{point}");
        let room: Vec<_> = (1..=3).map(|item| numbers.try_submit(item)).collect();
        assert!(room.iter().all(Result::is_ok), "{point}: all room is back");
        drop((running, kept));
    }
}

/// A deadline that has passed costs nobody a place.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_late_already_is_not_taken_in() {
    let config = Config {
        queue_len_max: 2,
        overflow: Overflow::ShedOldest,
        ..one_slot()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let queued = [2, 3].map(|item| numbers.try_submit(item).expect("room"));
    let late = numbers.submit_by(4, Instant::now()).await;
    assert_eq!(late, Err(Error::DeadlineExceeded));
    assert_eq!(numbers.stats().submitted, 3);
    assert_eq!(running.await, Ok(2));
    for (item, ticket) in (2..).zip(queued) {
        assert_eq!(ticket.await, Ok(2 * item));
    }
}

/// A list is dropped while it waits for room; its first items are in the queue.
#[tokio::test(start_paused = true)]
async fn a_list_may_be_dropped_while_it_waits_for_room() {
    let (numbers, seen) = doubling(&one_slot(), ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let list = numbers.process_batch((2..=20).collect());
    assert!(timeout(ms(1), list).await.is_err());
    assert_eq!(numbers.stats().queued, 3);
    assert_eq!(running.await, Ok(2));
    numbers.flush().await;
    assert_eq!(seen.batches(), [[1]]);
    let room: Vec<_> = (1..=3).map(|item| numbers.try_submit(item)).collect();
    assert!(room.iter().all(Result::is_ok), "all room is back");
}

/// A shutdown that is dropped leaves the processor closed and drains it.
#[tokio::test(start_paused = true)]
async fn a_shutdown_may_be_dropped() {
    let (numbers, _) = doubling(&config(), ms(10));
    let tickets: Vec<_> = (1..=300).map(|item| numbers.try_submit(item)).collect();
    assert!(timeout(ms(5), numbers.shutdown()).await.is_err());
    assert!(numbers.is_closed());
    assert_eq!(numbers.submit(1).await, Err(Error::Closed));
    for (item, ticket) in (1..).zip(tickets) {
        assert_eq!(ticket.expect("room").await, Ok(2 * item));
    }
    numbers.shutdown().await;
    let stats = numbers.stats();
    assert_eq!((stats.items, stats.queued, stats.running), (300, 0, 0));
}

/// A queue that is full of items whose callers went away has room: for who
/// submits, who may wait, and a list.
#[tokio::test(start_paused = true)]
async fn items_of_nobody_give_their_room_to_others() {
    for overflow in [Overflow::Reject, Overflow::Wait, Overflow::ShedOldest] {
        let config = Config {
            queue_len_max: 100,
            overflow,
            ..one_slot()
        };
        let (numbers, seen) = doubling(&config, ms(10_000));
        let running = numbers.try_submit(1).expect("room");
        settle().await;
        for round in 0..3 {
            for item in 0..100 - round {
                drop(numbers.try_submit(item).expect("room"));
            }
            let kept = numbers.try_submit(7).expect("the place of nobody");
            settle().await;
            let queued = usize::try_from(round).expect("small") + 1;
            assert_eq!(numbers.stats().queued, queued);
            std::mem::drop(tokio::spawn(kept));
        }
        let stats = numbers.stats();
        let (shed, overloaded) = (stats.shed, stats.overloaded);
        assert_eq!((shed, overloaded, stats.cancelled), (0, 0, 297));
        assert_eq!(running.await, Ok(2));
        numbers.flush().await;
        assert_eq!(seen.batches(), [vec![1], vec![7, 7, 7]]);
    }
}

/// A storm of refusals looks at the queue now and then only, and still sees in
/// the end that nobody waits.
#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_sees_who_went_away() {
    let config = Config {
        queue_len_max: 320,
        overflow: Overflow::Reject,
        ..one_slot()
    };
    let (numbers, _) = doubling(&config, ms(10_000));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let tickets: Vec<_> = (0..320).map(|item| numbers.try_submit(item)).collect();
    assert!(numbers.try_submit(1).is_err(), "all of them wait");
    drop(tickets);
    let refused = (0..100).take_while(|_| numbers.try_submit(1).is_err());
    assert_eq!(
        refused.count(),
        19,
        "sixteen looks a call, and a queue of 320"
    );
    drop(running);
}
