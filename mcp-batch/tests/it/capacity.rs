//! A full queue, by each policy; nothing passes the bound.

use crate::support::{Numbers, config, doubling, ms, settle};
use mcp_batch::{Config, Error, Overflow, Ticket};
use tokio::task::JoinSet;

/// One slot, which is busy with item 1, and a full queue of 10, 11, 12.
async fn full(overflow: Overflow) -> (Numbers, Vec<Ticket<u64, String>>) {
    let config = Config {
        max_concurrent_batches: 1,
        queue_len_max: 3,
        overflow,
        ..config()
    };
    let (numbers, _) = doubling(&config, ms(10));
    let mut tickets = vec![numbers.try_submit(1).expect("room")];
    settle().await;
    tickets.extend((10..13).map(|item| numbers.try_submit(item).expect("room")));
    assert_eq!(numbers.stats().queued, 3);
    (numbers, tickets)
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let (numbers, tickets) = full(Overflow::Reject).await;
    let overloaded = Error::Overloaded { limit: 3 };
    assert!(overloaded.is_retryable());
    assert_eq!(numbers.submit(13).await, Err(overloaded.clone()));
    assert_eq!(numbers.try_submit(13).map(|_| ()), Err(overloaded));
    for ticket in tickets {
        ticket.await.expect("a result");
    }
    assert_eq!(numbers.stats().overloaded, 2);
    assert_eq!(numbers.submit(13).await, Ok(26));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for() {
    let (numbers, tickets) = full(Overflow::Wait).await;
    assert_eq!(
        numbers.try_submit(13).map(|_| ()),
        Err(Error::Overloaded { limit: 3 }),
        "try_submit never waits"
    );
    let mut tasks = JoinSet::new();
    for item in 20..40 {
        let numbers = numbers.clone();
        tasks.spawn(async move { numbers.submit(item).await });
    }
    settle().await;
    assert_eq!(numbers.stats().queued, 3);
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    for ticket in tickets {
        ticket.await.expect("a result");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sheds_its_oldest() {
    let (numbers, tickets) = full(Overflow::ShedOldest).await;
    tokio::time::advance(ms(4)).await;
    let newest = numbers.try_submit(13).expect("the place of 10");
    assert_eq!(numbers.submit(14).await, Ok(28), "the place of 11");
    let mut results = Vec::new();
    for ticket in tickets {
        results.push(ticket.await);
    }
    let shed = Err(Error::Shed { waited: ms(4) });
    assert_eq!(results, [Ok(2), shed.clone(), shed, Ok(24)]);
    assert_eq!(newest.await, Ok(26));
    assert_eq!(numbers.stats().shed, 2);
    let room: Vec<_> = (1..=3).map(|item| numbers.try_submit(item)).collect();
    assert!(room.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_list_longer_than_the_queue_waits_for_room() {
    let (numbers, _tickets) = full(Overflow::Reject).await;
    let results = numbers.process_batch((1..=100).collect()).await;
    let expect: Vec<_> = (1..=100).map(|item| Ok(2 * item)).collect();
    assert_eq!(results, expect);
    assert_eq!(numbers.stats().overloaded, 0);
}
