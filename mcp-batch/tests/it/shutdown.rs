//! The end: by shutdown, by drop, by the runtime.

use crate::support::{Numbers, config, doubling, ms, settle};
use mcp_batch::{Config, Error, Overflow};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn shutdown_drains_a_full_queue() {
    let config = Config {
        overflow: Overflow::Wait,
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    let tickets: Vec<_> = (1..=1_000).map(|item| numbers.try_submit(item)).collect();
    let waiting = tokio::spawn({
        let numbers = numbers.clone();
        async move { numbers.submit(0).await }
    });
    settle().await;
    let more: Vec<_> = (1..=100).map(|item| numbers.try_submit(item)).collect();
    let start = Instant::now();
    numbers.shutdown().await;
    assert!(numbers.is_closed());
    assert_eq!(numbers.submit(1).await, Err(Error::Closed));
    assert_eq!(numbers.process_batch(vec![1]).await, [Err(Error::Closed)]);
    let stats = numbers.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
    assert_eq!(stats.submitted, stats.items);
    for (item, ticket) in (1..).zip(tickets) {
        let expect = crate::support::double(item).map_err(Error::Item);
        assert_eq!(ticket.expect("room").await, expect);
    }
    for ticket in more.into_iter().flatten() {
        ticket.await.expect("taken in before");
    }
    assert!(matches!(
        waiting.await.expect("no panic"),
        Ok(0) | Err(Error::Closed)
    ));
    assert!(seen.sizes().iter().all(|size| *size <= 50));
    assert!(start.elapsed() <= ms(120), "two at a time");
    numbers.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told_of_the_shutdown() {
    let config = Config {
        overflow: Overflow::Wait,
        max_concurrent_batches: 1,
        queue_len_max: 1,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let running = numbers.try_submit(1).expect("room");
    settle().await;
    let queued = numbers.try_submit(2).expect("room");
    let waiting = tokio::spawn({
        let numbers = numbers.clone();
        async move { numbers.submit(3).await }
    });
    settle().await;
    numbers.shutdown().await;
    assert_eq!(waiting.await.expect("no panic"), Err(Error::Closed));
    assert_eq!((running.await, queued.await), (Ok(2), Ok(4)));
}

#[tokio::test(start_paused = true)]
async fn tickets_outlive_the_last_handle() {
    let (numbers, seen) = doubling(&config(), ms(10));
    let tickets: Vec<_> = (1..=300).map(|item| numbers.try_submit(item)).collect();
    drop(numbers);
    for (item, ticket) in (1..).zip(tickets) {
        assert_eq!(ticket.expect("room").await, Ok(2 * item));
    }
    assert_eq!(seen.sizes(), [50; 6]);
}

#[tokio::test(start_paused = true)]
async fn nothing_lives_while_nothing_waits() {
    let (numbers, seen) = doubling(&config(), ms(10));
    numbers.process_batch((1..=300).collect()).await;
    settle().await;
    tokio::time::sleep(ms(60)).await;
    let alive = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(alive, 0);
    drop(numbers);
    assert_eq!(
        std::sync::Arc::strong_count(&seen),
        1,
        "the function is gone"
    );
}

#[test]
fn the_end_of_the_runtime_answers_everyone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (numbers, tickets) = runtime.block_on(async {
        let (numbers, _) = doubling(&config(), ms(10));
        let tickets: Vec<_> = (1..=300).map(|item| numbers.try_submit(item)).collect();
        settle().await;
        (numbers, tickets)
    });
    drop(runtime);
    let check = |numbers: &Numbers| {
        assert_eq!(numbers.try_submit(1).map(|_| ()), Err(Error::Closed));
    };
    check(&numbers);
    let other = tokio::runtime::Builder::new_current_thread().build();
    other.expect("a runtime").block_on(async {
        for ticket in tickets {
            assert_eq!(ticket.expect("room").await, Err(Error::Abandoned));
        }
    });
}
