//! The processor as a service.

use crate::support::{config, doubling, ms, settle};
use mcp_batch::{Config, Error, tower::BatchService};
use tokio::time::timeout;
use tower::{Service, ServiceExt};

#[tokio::test(start_paused = true)]
async fn readiness_is_room() {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 1,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let mut service = BatchService::new(numbers.clone());
    let first = service.ready().await.expect("open").call(1);
    settle().await;
    let second = service.ready().await.expect("open").call(2);
    let mut third = service.clone();
    assert_eq!(third.call(3).await, Err(Error::Overloaded { limit: 1 }));
    let start = tokio::time::Instant::now();
    let third = third.ready().await.expect("open").call(3);
    assert_eq!(start.elapsed(), ms(10), "as soon as the queue is taken");
    assert_eq!(
        (first.await, second.await, third.await),
        (Ok(2), Ok(4), Ok(6))
    );
    let _kept = service.ready().await.expect("open");
    numbers.shutdown().await;
    let mut closed = BatchService::new(numbers);
    assert_eq!(closed.ready().await.map(|_| ()), Err(Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn room_that_is_not_used_returns() {
    let config = Config {
        queue_len_max: 1,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let mut service = BatchService::new(numbers.clone());
    service.ready().await.expect("open");
    assert!(numbers.try_submit(1).is_err());
    drop(service);
    assert_eq!(numbers.submit(1).await, Ok(2));
}

/// A service that waits for room, its room, and its call may each be dropped.
#[tokio::test(start_paused = true)]
async fn a_service_may_be_dropped_at_every_wait() {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 1,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    let service = BatchService::new(numbers.clone());
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let queued = numbers.try_submit(2).expect("room");
    let mut waiting = service.clone();
    assert!(timeout(ms(1), waiting.ready()).await.is_err());
    let mut next = service.clone();
    assert!(timeout(ms(1), next.ready()).await.is_err());
    // The first in line goes away: its place is the next one's.
    drop(waiting);
    assert_eq!((running.await, queued.await), (Ok(2), Ok(4)));
    drop(next.ready().await.expect("open").call(3));
    settle().await;
    assert_eq!(numbers.submit(4).await, Ok(8), "all room is back");
    let call = next.ready().await.expect("open").call(5);
    assert!(timeout(ms(5), call).await.is_err());
    numbers.flush().await;
    assert_eq!(seen.batches(), [[1], [2], [4], [5]]);
    assert_eq!(numbers.submit(6).await, Ok(12));
}

#[tokio::test(start_paused = true)]
async fn room_taken_before_a_shutdown_is_of_no_use_after_it() {
    let (numbers, _) = doubling(&config(), ms(10));
    let mut service = BatchService::new(numbers.clone());
    let ready = service.ready().await.expect("open");
    numbers.shutdown().await;
    assert_eq!(ready.call(5).await, Err(Error::Closed));
}

/// Items of callers that went away do not make a service wait.
#[tokio::test(start_paused = true)]
async fn room_of_nobody_is_room() {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 1,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    drop(numbers.try_submit(2).expect("room"));
    let mut service = BatchService::new(numbers.clone());
    let ready = timeout(ms(1), service.ready()).await;
    assert!(ready.is_ok());
    drop(running);
}
