//! Who waits in more than one line, or does not come when its turn has come.

use crate::support::{
    KIB, budget, check_empty, messages, observed, poll_once, read_now, replaying, secs, settle,
    stream, waiting, weighing,
};
use mcp_streaming::{
    Budget, BudgetConfig, EndReason, Rx, SessionConfig, Sessions, SlowConsumer, StreamConfig, Tx,
};
use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::{Instant, sleep};

fn patient(bytes_max: u64) -> StreamConfig {
    StreamConfig {
        slow_consumer: SlowConsumer::Wait { at_most: secs(60) },
        ..waiting(bytes_max)
    }
}

fn sessions(budget: &Budget, bytes_max: u64, stream: StreamConfig) -> Sessions {
    let config = SessionConfig {
        bytes_max,
        stream,
        ..SessionConfig::default()
    };
    Sessions::new(budget, &config).expect("a valid configuration")
}

/// Two writers wait for their session, whose room comes while the budget is full:
/// they are polled a few times, keep their places, and the stalled stream that
/// fills the budget is found.
#[tokio::test(start_paused = true)]
async fn writers_of_a_session_keep_their_places_while_the_budget_is_full() {
    let config = BudgetConfig {
        bytes_max: 16 * KIB,
        stall_timeout: secs(1),
        ..BudgetConfig::default()
    };
    let budget = Budget::new(&config).expect("a valid configuration");
    let session = sessions(&budget, 8 * KIB, patient(8 * KIB));
    let session = session.open("ann").expect("room");
    let [(a, mut a_rx), (b, b_rx), (c, c_rx)] =
        [(); 3].map(|()| session.open_stream().expect("room"));
    a.try_send(weighing(8 * KIB)).expect("room");
    let (outside, outside_rx) = stream(&budget, &patient(16 * KIB));
    outside.try_send(weighing(8 * KIB)).expect("room");
    let polls = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let send = |tx: Tx| {
        let polls = Arc::clone(&polls);
        tokio::spawn(async move {
            let mut send = Box::pin(tx.send(weighing(KIB)));
            let polled = poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                send.as_mut().poll(cx)
            });
            (polled.await.map(|id| id.seq()), start.elapsed())
        })
    };
    let (b, c) = (send(b), send(c));
    settle().await;
    let full = {
        let outside = outside.clone();
        tokio::spawn(async move { outside.send(weighing(8 * KIB)).await.map(drop) })
    };
    settle().await;
    assert_eq!(read_now(&mut a_rx), messages(1..=1));
    settle().await;
    assert!(full.is_finished(), "it came before them");
    assert!(budget.stats().is_waited_for, "they wait");
    for writer in [b, c] {
        let (sent, took) = writer.await.expect("no panic");
        assert_eq!(sent, Ok(1));
        assert!(took < secs(3), "{took:?}");
    }
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls < 20, "{polls}");
    assert_eq!(budget.stats().ended_stalled, 1);
    session.close();
    drop((a, a_rx, b_rx, c_rx, outside, outside_rx));
    check_empty(&budget);
}

/// A writer that waited first, and whose future nobody polls: it stands in
/// nobody's way for long, no stream is ended for it, and it has its turn when it
/// comes back.
#[tokio::test(start_paused = true)]
async fn a_writer_that_does_not_come_is_passed_over() {
    let config = BudgetConfig {
        bytes_max: 100 * KIB,
        ..BudgetConfig::default()
    };
    let (budget, heard) = observed(&config);
    let held: Vec<(Tx, Rx)> = (0..3)
        .map(|_| stream(&budget, &replaying(10 * KIB)))
        .collect();
    for (tx, _) in &held {
        tx.try_send(weighing(KIB)).expect("room");
    }
    let (a, mut a_rx) = stream(&budget, &patient(100 * KIB));
    a.try_send(weighing(60 * KIB)).expect("room");
    let (b, _b_rx) = stream(&budget, &patient(100 * KIB));
    let mut unpolled = Box::pin(b.send(weighing(80 * KIB)));
    assert!(poll_once(&mut unpolled).await.is_pending());
    let next = tokio::spawn(async move {
        let sent = a.send(weighing(2 * KIB)).await.map(|id| id.seq());
        (sent, Instant::now(), a)
    });
    settle().await;
    assert_eq!(read_now(&mut a_rx), messages(1..=1));
    let start = Instant::now();
    let (sent, served, _a) = next.await.expect("no panic");
    assert_eq!(sent, Ok(2));
    assert!(served - start < secs(3), "{:?}", served - start);
    sleep(secs(30)).await;
    assert_eq!(heard.ended(), [], "there is room");
    assert!(!budget.stats().is_waited_for);
    for (tx, _) in &held {
        tx.try_send(weighing(KIB)).expect("nobody is in the way");
    }
    let sent = unpolled.await.map(|id| id.seq());
    assert_eq!(sent, Ok(1), "its room is still there");
}

/// The same in the line of a session.
#[tokio::test(start_paused = true)]
async fn a_writer_that_does_not_come_is_passed_over_in_its_session() {
    let budget = budget(100 * KIB);
    let sessions = sessions(&budget, 16 * KIB, patient(16 * KIB));
    let session = sessions.open("ann").expect("room");
    let [(a, mut a_rx), (b, _b_rx), (c, _c_rx)] =
        [(); 3].map(|()| session.open_stream().expect("room"));
    a.try_send(weighing(16 * KIB)).expect("room");
    let mut unpolled = Box::pin(b.send(weighing(KIB)));
    assert!(poll_once(&mut unpolled).await.is_pending());
    let next = tokio::spawn(async move { c.send(weighing(KIB)).await.map(|id| id.seq()) });
    settle().await;
    let start = Instant::now();
    assert_eq!(read_now(&mut a_rx), messages(1..=1));
    assert_eq!(next.await.expect("no panic"), Ok(1));
    assert!(start.elapsed() < secs(3), "{:?}", start.elapsed());
    assert_eq!(unpolled.await.map(|id| id.seq()), Ok(1));
}

/// A writer whose stream ended waits for nothing, polled or not.
#[tokio::test(start_paused = true)]
async fn an_ended_stream_is_in_nobodys_way() {
    let budget = budget(100 * KIB);
    let (a, mut a_rx) = stream(&budget, &waiting(100 * KIB));
    a.try_send(weighing(100 * KIB)).expect("room");
    let (b, _b_rx) = stream(&budget, &waiting(100 * KIB));
    let mut unpolled = Box::pin(b.send(weighing(KIB)));
    assert!(poll_once(&mut unpolled).await.is_pending());
    assert_eq!(read_now(&mut a_rx), messages(1..=1));
    let (c, _c_rx) = stream(&budget, &waiting(100 * KIB));
    assert!(c.try_send(weighing(KIB)).is_err(), "the other one is first");
    b.finish();
    c.try_send(weighing(KIB)).expect("nobody waits any more");
    assert!(unpolled.await.is_err());
}

/// Four unread streams fill their session: the fifth, whose reader reads, does
/// not wait for the end of the session.
#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_ended_for_its_session_too() {
    let (budget, heard) = observed(&BudgetConfig::default());
    let sessions = Sessions::new(&budget, &SessionConfig::default()).expect("valid");
    let session = sessions.open("ann").expect("room");
    session.initialized();
    let unread: Vec<_> = (0..4)
        .map(|_| {
            let (tx, rx) = session.open_stream().expect("room");
            while tx.try_send(weighing(64 * KIB)).is_ok() {}
            (tx, rx)
        })
        .collect();
    let (tx, mut rx) = session.open_stream().expect("room");
    let start = Instant::now();
    tx.send("ping").await.expect("room comes");
    assert!(start.elapsed() < secs(7), "{:?}", start.elapsed());
    assert_eq!(read_now(&mut rx), messages(1..=1));
    assert_eq!(heard.ended(), [EndReason::Stalled], "and no more than one");
    drop(unread);
}

/// An event that shrinks in its place makes room for who waits.
#[tokio::test(start_paused = true)]
async fn a_shorter_event_makes_room_for_who_waits() {
    let budget = budget(64 * KIB);
    let config = StreamConfig {
        slow_consumer: SlowConsumer::Coalesce { at_most: secs(30) },
        ..waiting(4 * KIB)
    };
    let (tx, _rx) = stream(&budget, &config);
    tx.try_send_keyed("k", weighing(3 * KIB)).expect("room");
    tx.try_send(weighing(900)).expect("room");
    let writer = {
        let tx = tx.clone();
        tokio::spawn(async move { tx.send(weighing(KIB)).await.map(|id| id.seq()) })
    };
    settle().await;
    assert!(!writer.is_finished());
    tx.try_send_keyed("k", "").expect("shorter");
    settle().await;
    assert!(writer.is_finished(), "it was woken");
    assert_eq!(writer.await.expect("no panic"), Ok(3));
}

/// What a permit does not need, and a permit that is dropped, is for who waits.
#[tokio::test(start_paused = true)]
async fn a_permits_room_is_given_on() {
    let budget = budget(64 * KIB);
    for is_used in [false, true] {
        let (tx, _rx) = stream(&budget, &waiting(4 * KIB));
        let permit = tx.try_reserve(3 * 1024).expect("room");
        let writer = {
            let tx = tx.clone();
            tokio::spawn(async move { tx.send(weighing(2 * KIB)).await.map(|id| id.seq()) })
        };
        settle().await;
        assert!(!writer.is_finished());
        if is_used {
            permit.send("small").expect("it has room");
        } else {
            drop(permit);
        }
        settle().await;
        assert!(writer.is_finished(), "it was woken");
        assert_eq!(writer.await.expect("no panic"), Ok(1 + u64::from(is_used)));
    }
}
