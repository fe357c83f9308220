//! Code of the caller that panics where it is least expected: it costs its own
//! batch or call, never room, a slot or the processor.

use crate::support::{Numbers, config, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, BatchRecord, Config, DropReason, Error, Observer, Overflow};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
};

fn small() -> Config {
    Config {
        queue_len_max: 4,
        ..config()
    }
}

fn refuse_666(item: &u64) -> u64 {
    assert!(*item != 666, "not this one");
    0
}

/// All room is there, and the next item is processed.
async fn check_whole(numbers: &Numbers) {
    let room: Vec<_> = (1..=4).map(|item| numbers.try_submit(item)).collect();
    assert!(room.iter().all(Result::is_ok), "all room is back");
    for (item, ticket) in (1..).zip(room) {
        assert_eq!(ticket.expect("room").await, Ok(2 * item));
    }
    let stats = numbers.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_measured_keeps_no_room() {
    let limits = Config {
        batch_bytes_max: Some(100),
        ..small()
    };
    let lanes = Numbers::builder(&small()).lane_by(refuse_666);
    let weights = Numbers::builder(&limits).weigh_by(refuse_666);
    for builder in [lanes, weights] {
        let (numbers, _) = doubling_with(builder, ms(1));
        for _ in 0..3 {
            let task = numbers.clone();
            let submit = tokio::spawn(async move { task.submit(666).await });
            assert!(submit.await.expect_err("a panic").is_panic());
            let task = numbers.clone();
            let list = tokio::spawn(async move { task.process_batch(vec![1, 666]).await });
            assert!(list.await.expect_err("a panic").is_panic());
            let task = numbers.clone();
            let queue = tokio::spawn(async move { task.try_submit(666).map(drop) });
            assert!(queue.await.expect_err("a panic").is_panic());
        }
        assert_eq!(numbers.stats().submitted, 0);
        check_whole(&numbers).await;
    }
}

#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn a_service_whose_call_panics_keeps_no_room() {
    use tower::{Service, ServiceExt};
    let builder = Numbers::builder(&small()).lane_by(refuse_666);
    let (numbers, _) = doubling_with(builder, ms(1));
    for _ in 0..4 {
        let mut service = mcp_batch::tower::BatchService::new(numbers.clone());
        let call = async move { service.ready().await.expect("open").call(666).await };
        assert!(tokio::spawn(call).await.expect_err("a panic").is_panic());
    }
    check_whole(&numbers).await;
}

/// Its drop panics if it is 13, its clone if it is 14.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bomb(u64);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.0 != 13 || thread::panicking(), "at its drop");
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        assert!(self.0 != 14, "at its clone");
        Self(self.0)
    }
}

type Bombs = BatchProcessor<Bomb, Bomb, ()>;

/// Each item becomes its result after 5 ms.
fn bombs(config: &Config) -> Bombs {
    let builder = Bombs::builder(config).dedup();
    builder.build(wait_and_echo).expect("a valid configuration")
}

async fn wait_and_echo(items: Vec<Bomb>) -> Vec<Result<Bomb, ()>> {
    tokio::time::sleep(ms(5)).await;
    items.into_iter().map(Ok).collect()
}

#[tokio::test(start_paused = true)]
async fn a_result_whose_clone_panics_fails_its_batch() {
    let bombs = bombs(&config());
    let results = bombs.process_batch(vec![Bomb(14), Bomb(1), Bomb(14)]).await;
    assert_eq!(results, vec![Err(Error::Panicked); 3]);
    assert_eq!(bombs.submit(Bomb(1)).await, Ok(Bomb(1)));
    let stats = bombs.stats();
    assert_eq!((stats.panicked, stats.deduplicated), (1, 0));
    assert_eq!(stats.batch_cost, None, "and it teaches nothing");
    assert_eq!(bombs.submit(Bomb(14)).await, Ok(Bomb(14)), "none is cloned");
}

/// Two results that nobody waits for, dropped one after the other.
#[tokio::test(start_paused = true)]
async fn results_of_nobody_may_panic_when_they_are_dropped() {
    let echo = Bombs::new(&config(), wait_and_echo).expect("a valid configuration");
    let gone = [Bomb(13), Bomb(13)].map(|item| echo.try_submit(item).expect("room"));
    let kept = echo.try_submit(Bomb(2)).expect("room");
    tokio::time::sleep(ms(1)).await;
    drop(gone);
    assert_eq!(kept.await, Ok(Bomb(2)));
    assert_eq!(echo.submit(Bomb(1)).await, Ok(Bomb(1)));
    assert_eq!(echo.stats().running, 0);
}

#[tokio::test(start_paused = true)]
async fn items_of_nobody_may_panic_when_they_are_dropped() {
    let echo = Bombs::new(&config(), wait_and_echo).expect("a valid configuration");
    for _ in 0..2 {
        drop(echo.try_submit(Bomb(13)).expect("room"));
    }
    assert_eq!(echo.submit(Bomb(1)).await, Ok(Bomb(1)));
    let stats = echo.stats();
    assert_eq!((stats.cancelled, stats.running), (2, 0));
}

/// The results of a batch that miscounts are dropped by the processor.
#[tokio::test(start_paused = true)]
async fn results_too_many_may_panic_when_they_are_dropped() {
    let function = |_: Vec<u64>| async { vec![Ok(Bomb(13)), Ok(Bomb(13)), Ok(Bomb(1))] };
    let echo = BatchProcessor::<u64, Bomb, ()>::new(&config(), function).expect("valid");
    let miscounted = Error::Miscounted {
        expected: 1,
        returned: 3,
    };
    for _ in 0..2 {
        assert_eq!(echo.submit(1).await, Err(miscounted));
    }
}

/// A future whose drop panics if its batch holds 13, after it was ready.
struct LateBomb(Option<Vec<u64>>, bool);

impl Future for LateBomb {
    type Output = Vec<Result<u64, ()>>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let items = self.0.take().unwrap_or_default();
        Poll::Ready(items.into_iter().map(Ok).collect())
    }
}

impl Drop for LateBomb {
    fn drop(&mut self) {
        assert!(!self.1 || thread::panicking(), "at its drop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_whose_drop_panics_fails_its_batch() {
    let function = |items: Vec<u64>| {
        let bomb = items.contains(&13);
        LateBomb(Some(items), bomb)
    };
    let late = BatchProcessor::<u64, u64, ()>::new(&config(), function).expect("valid");
    assert_eq!(late.submit(13).await, Err(Error::Panicked));
    assert_eq!(late.submit(1).await, Ok(1));
    assert_eq!((late.stats().panicked, late.stats().running), (1, 0));
}

struct Clumsy;

impl Observer for Clumsy {
    fn on_batch(&self, _: &BatchRecord) {
        panic!("an observer must not");
    }

    fn on_dropped(&self, _: DropReason) {
        panic!("an observer must not");
    }
}

/// Shedding calls the observer and drops an item, both of which panic.
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_is_not_heard() {
    let config = Config {
        max_concurrent_batches: 1,
        overflow: Overflow::ShedOldest,
        queue_len_max: 1,
        ..config()
    };
    let builder = Bombs::builder(&config).observer(Arc::new(Clumsy));
    let echo = builder.build(wait_and_echo).expect("valid");
    assert_eq!(echo.submit(Bomb(1)).await, Ok(Bomb(1)));
    let running = echo.try_submit(Bomb(2)).expect("room");
    settle().await;
    let shed = echo.try_submit(Bomb(13)).expect("room");
    let kept = echo.try_submit(Bomb(3)).expect("the place of 13");
    let waited = ms(0);
    assert_eq!(shed.await, Err(Error::Shed { waited }));
    assert_eq!((running.await, kept.await), (Ok(Bomb(2)), Ok(Bomb(3))));
    drop(echo.try_submit(Bomb(4)).expect("room"));
    assert_eq!(echo.submit(Bomb(5)).await, Ok(Bomb(5)));
}
