//! The processor as a service.

use crate::support::{config, doubling, ms, settle};
use mcp_batch::{Config, Error, tower::BatchService};
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
