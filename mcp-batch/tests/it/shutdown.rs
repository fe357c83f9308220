//! The end: by shutdown, by drop, by the runtime.

use crate::support::{Numbers, config, doubling, ms, settle};
use mcp_batch::{BatchProcessor, Config, Error, Overflow};
use tokio::time::{Instant, timeout};

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

/// Who waits for room, for a flush, or with a list, in another runtime.
#[test]
fn the_end_of_the_runtime_wakes_who_waits_elsewhere() {
    let build = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let builder = builder.enable_all().start_paused(true);
        builder.build().expect("a runtime")
    };
    let (home, other) = (build(), build());
    let config = Config {
        queue_len_max: 2,
        max_concurrent_batches: 1,
        overflow: Overflow::Wait,
        ..config()
    };
    let numbers = home.block_on(async {
        let (numbers, _) = doubling(&config, ms(1_000_000));
        drop(numbers.try_submit(0));
        let running = numbers.try_submit(1).expect("room");
        settle().await;
        assert_eq!(numbers.stats().running, 1);
        drop(running);
        numbers
    });
    let elsewhere = async {
        let submits = [2, 3, 4].map(|item| {
            let numbers = numbers.clone();
            tokio::spawn(async move { numbers.submit(item).await })
        });
        settle().await;
        let waiting = numbers.clone();
        let list = tokio::spawn(async move { waiting.process_batch(vec![5, 6]).await });
        let waiting = numbers.clone();
        let flush = tokio::spawn(async move { waiting.flush().await });
        settle().await;
        assert!(!flush.is_finished() && !list.is_finished());
        home.shutdown_background();
        let mut results = Vec::new();
        for submit in submits {
            results.push(submit.await.expect("no panic"));
        }
        let abandoned = Err(Error::Abandoned);
        assert_eq!(results, [abandoned.clone(), abandoned, Err(Error::Closed)]);
        let list = list.await.expect("no panic");
        assert_eq!(list, [Err(Error::Closed), Err(Error::Closed)]);
        flush.await.expect("no panic");
        numbers.shutdown().await;
    };
    let ended = other.block_on(async { timeout(ms(1_000), elsewhere).await });
    ended.expect("nobody waits for ever");
    assert!(numbers.is_closed());
    let stats = numbers.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
}

/// An idle processor has no task that could notice; its next item does.
#[test]
fn an_idle_processor_notices_the_end_with_its_next_item() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    let numbers = runtime.block_on(async { doubling(&config(), ms(1)).0 });
    drop(runtime);
    assert!(!numbers.is_closed());
    let ticket = numbers.try_submit(1).expect("nobody knows yet");
    assert!(numbers.is_closed());
    assert_eq!(numbers.try_submit(1).map(drop), Err(Error::Closed));
    let runtime = builder.build().expect("a runtime");
    assert_eq!(runtime.block_on(ticket), Err(Error::Abandoned));
    assert_eq!(numbers.stats().running, 0);
}

#[test]
fn a_runtime_without_a_timer_is_refused() {
    let build = || {
        let function = |items: Vec<u64>| async { items.into_iter().map(Ok::<u64, ()>).collect() };
        let built = BatchProcessor::new(&config(), function);
        built.map(drop).map_err(|error| error.field)
    };
    assert_eq!(build(), Err("runtime"), "there is none");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        assert_eq!(build(), Err("runtime"), "it has no timer");
    });
}

/// The timer of an hour's window does not keep the function.
#[tokio::test(start_paused = true)]
async fn the_timer_does_not_keep_the_processor() {
    let config = Config {
        window: std::time::Duration::from_secs(3600),
        ..config()
    };
    let (numbers, seen) = doubling(&config, ms(10));
    let first: Vec<_> = (1..=40).map(|item| numbers.try_submit(item)).collect();
    settle().await;
    let waiting = numbers.try_submit(50).expect("room");
    for ticket in first {
        ticket.expect("room").await.expect("a result");
    }
    assert_eq!(waiting.await, Ok(100));
    settle().await;
    drop(numbers);
    assert_eq!(std::sync::Arc::strong_count(&seen), 1);
}
