//! A budget that is full.

use crate::support::{
    KIB, Seen, check_empty, messages, ms, observed, read_now, replaying, secs, settle, stream,
    waiting, weighing,
};
use mcp_streaming::{
    Budget, BudgetConfig, EndReason, Observer, Scope, SessionConfig, Sessions, SlowConsumer,
    StreamConfig, Tx,
};
use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};
use tokio::time::{Instant, sleep};

fn config() -> BudgetConfig {
    BudgetConfig {
        bytes_max: 100 * KIB,
        ..BudgetConfig::default()
    }
}

fn patient(bytes_max: u64) -> StreamConfig {
    StreamConfig {
        slow_consumer: SlowConsumer::Wait { at_most: secs(60) },
        ..waiting(bytes_max)
    }
}

/// Histories go at 90 %, those that moved least recently first, and only down
/// to 80 %.
#[tokio::test(start_paused = true)]
async fn idle_history_is_shed_at_the_high_watermark() {
    let (budget, heard) = observed(&config());
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (tx, mut rx) = stream(&budget, &replaying(10 * KIB));
        tx.try_send(weighing(10 * KIB)).expect("room");
        assert_eq!(read_now(&mut rx), messages(1..=1));
        streams.push((tx, rx));
        sleep(secs(1)).await;
    }
    let kept = |streams: &[(mcp_streaming::Tx, _)]| -> Vec<bool> {
        let history = |(tx, _): &(mcp_streaming::Tx, _)| tx.stats().bytes_history > 0;
        streams.iter().map(history).collect()
    };
    assert_eq!(kept(&streams), [true; 8]);
    let (tx, _rx) = stream(&budget, &waiting(20 * KIB));
    tx.try_send(weighing(15 * KIB)).expect("room");
    sleep(secs(1)).await;
    assert_eq!(
        kept(&streams),
        [false, false, true, true, true, true, true, true]
    );
    assert_eq!(heard.high().len(), 1);
    assert!(budget.stats().shed_bytes >= 15 * KIB);
    assert!(budget.audit().is_balanced());
}

/// A writer that waits gets what idle histories hold, and does not wait for the
/// end of anybody.
#[tokio::test(start_paused = true)]
async fn a_writer_gets_the_room_of_histories() {
    let (budget, heard) = observed(&config());
    let mut streams = Vec::new();
    for _ in 0..4 {
        let (tx, mut rx) = stream(&budget, &replaying(22 * KIB));
        tx.try_send(weighing(22 * KIB)).expect("room");
        read_now(&mut rx);
        streams.push((tx, rx));
    }
    let (tx, _rx) = stream(&budget, &patient(90 * KIB));
    let start = Instant::now();
    tx.send(weighing(60 * KIB)).await.expect("room comes");
    assert!(start.elapsed() < secs(2), "{:?}", start.elapsed());
    assert_eq!(heard.ended(), []);
}

/// Of two streams that stand still the one that holds more is ended, and told;
/// one that moves is spared however much it holds.
#[tokio::test(start_paused = true)]
async fn the_worst_stalled_stream_is_ended() {
    let (budget, heard) = observed(&config());
    let (small, mut small_rx) = stream(&budget, &patient(100 * KIB));
    let (large, mut large_rx) = stream(&budget, &patient(100 * KIB));
    let (moving, mut moving_rx) = stream(&budget, &patient(100 * KIB));
    small.try_send(weighing(20 * KIB)).expect("room");
    large.try_send(weighing(30 * KIB)).expect("room");
    for _ in 0..50 {
        moving.try_send(weighing(KIB)).expect("room");
    }
    let reader = tokio::spawn(async move {
        loop {
            sleep(secs(2)).await;
            moving_rx.next().await;
        }
    });
    let start = Instant::now();
    moving.send(weighing(25 * KIB)).await.expect("room comes");
    let took = start.elapsed();
    assert!(took >= secs(5) && took < secs(7), "{took:?}");
    assert_eq!(heard.ended(), [EndReason::Stalled]);
    assert_eq!(
        read_now(&mut large_rx),
        [Seen::Ended(EndReason::Stalled), Seen::Over]
    );
    assert_eq!(read_now(&mut small_rx), messages(1..=1));
    assert_eq!(budget.stats().ended_stalled, 1);
    reader.abort();
    let _ = reader.await;
    drop((small, large, moving, small_rx, large_rx));
    check_empty(&budget);
}

/// What is in a reader's hands is not free when its stream ends: the stream whose
/// end frees something goes.
#[tokio::test(start_paused = true)]
async fn the_end_that_frees_nothing_is_spared() {
    let (budget, heard) = observed(&config());
    let (a, mut a_rx) = stream(&budget, &replaying(100 * KIB));
    let (b, _b_rx) = stream(&budget, &replaying(100 * KIB));
    a.try_send(weighing(50 * KIB)).expect("room");
    b.try_send(weighing(40 * KIB)).expect("room");
    assert!(a_rx.next().await.is_some());
    let (tx, _rx) = stream(&budget, &patient(100 * KIB));
    tx.send(weighing(30 * KIB)).await.expect("room comes");
    assert_eq!(heard.ended(), [EndReason::Stalled]);
    assert_eq!((a.end(), b.end()), (None, Some(EndReason::Stalled)));
}

/// An observer that panics harms nobody: the keeper goes on, and no room is kept.
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_harms_nobody() {
    struct Panics;
    impl Observer for Panics {
        fn on_high(&self, _: Scope, _: u64, _: u64) {
            panic!("the observer's own")
        }
        fn on_session_ended(&self, _: EndReason) {
            panic!("the observer's own")
        }
    }
    let budget = Budget::with_observer(&config(), Arc::new(Panics)).expect("valid");
    let (tx, _rx) = stream(&budget, &replaying(100 * KIB));
    drop(tx.try_reserve(95 * 1024).expect("room"));
    assert_eq!((tx.stats().bytes_held, budget.stats().warnings), (0, 1));
    let defaults = SessionConfig {
        bytes_max: 16 * KIB,
        stream: replaying(8 * KIB),
        ..SessionConfig::default()
    };
    let sessions = Sessions::new(&budget, &defaults).expect("valid");
    for _ in 0..10 {
        drop(sessions.open("ann").expect("room"));
    }
    sleep(secs(61)).await;
    assert_eq!((sessions.stats().open, budget.stats().timers), (0, 0));
}

/// A waker may own a handle, and its drop may drop it.
#[tokio::test(start_paused = true)]
async fn wakers_are_dropped_outside_of_the_locks() {
    struct Owns(#[expect(dead_code, reason = "it is owned")] Tx);
    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }
    let budget = Budget::new(&config()).expect("a valid configuration");
    let (tx, mut rx) = stream(&budget, &replaying(4 * KIB));
    let owning = |tx: &Tx| Waker::from(Arc::new(Owns(tx.clone())));
    let mut next = Box::pin(rx.next());
    let mut poll = |waker: &Waker| next.as_mut().poll(&mut Context::from_waker(waker));
    assert!(poll(&owning(&tx)).is_pending());
    assert!(poll(Waker::noop()).is_pending());
    tx.try_send(weighing(4 * KIB)).expect("room");
    let mut send = Box::pin(tx.send(weighing(KIB)));
    let mut poll = |waker: &Waker| send.as_mut().poll(&mut Context::from_waker(waker));
    assert!(poll(&owning(&tx)).is_pending());
    assert!(poll(Waker::noop()).is_pending());
    assert_eq!(tx.stats().writers, 1, "both were dropped");
}

/// The whole budget in the hands of readers who do not move: the writers who
/// wait are served one after the other.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_stalled_readers_is_cleared() {
    let (budget, heard) = observed(&config());
    let stalled: Vec<_> = (0..10)
        .map(|_| {
            let (tx, rx) = stream(&budget, &patient(10 * KIB));
            tx.try_send(weighing(10 * KIB)).expect("room");
            (tx, rx)
        })
        .collect();
    let (tx, _rx) = stream(&budget, &patient(80 * KIB));
    let start = Instant::now();
    tx.send(weighing(45 * KIB)).await.expect("room comes");
    assert!(start.elapsed() < secs(60));
    assert_eq!(
        heard.ended(),
        [EndReason::Stalled; 5],
        "and no more than it takes"
    );
    assert!(budget.audit().is_balanced());
    drop(stalled);
}

/// The keeper ends with the last handle, and lives on with the last stream.
#[tokio::test(start_paused = true)]
async fn the_keeper_needs_no_handle() {
    let budget = Budget::new(&config()).expect("a valid configuration");
    let idle = StreamConfig {
        idle_timeout: Some(secs(10)),
        ..replaying(10 * KIB)
    };
    let (tx, rx) = stream(&budget, &idle);
    drop(budget);
    drop(rx);
    sleep(secs(11)).await;
    assert_eq!(tx.end(), Some(EndReason::Idle));
    drop(tx);
    sleep(ms(300)).await;
    settle().await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0);
}
