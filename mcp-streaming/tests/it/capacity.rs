//! What fits, what waits, what is refused.

use crate::support::{
    KIB, Seen, budget, check_empty, messages, ms, read_now, replaying, secs, settle, stream,
    waiting, weighing,
};
use mcp_streaming::{BudgetConfig, ResourceExhausted, Scope, SendError, SessionConfig, Sessions};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn test_memory_limits_streaming() {
    let budget = budget(16 * KIB);
    let sessions = Sessions::new(
        &budget,
        &SessionConfig {
            bytes_max: 8 * KIB,
            stream: waiting(4 * KIB),
            ..SessionConfig::default()
        },
    )
    .expect("a valid configuration");
    let session = sessions.open("ann").expect("room");
    let (tx, mut rx) = session.open_stream().expect("room");
    let (other, _other_rx) = session.open_stream().expect("room");
    let (third, _third_rx) = session.open_stream().expect("room");

    // The stream's limit, then the session's.
    let exhausted = |scope, used, limit| {
        Err(SendError::Exhausted(ResourceExhausted {
            scope,
            used,
            limit,
        }))
    };
    for _ in 0..4 {
        tx.try_send(weighing(KIB)).expect("room");
        other.try_send(weighing(KIB)).expect("room");
    }
    assert_eq!(session.memory_usage(), 8 * KIB);
    let check = session.check_memory_limit();
    let full = ResourceExhausted {
        scope: Scope::Session,
        used: 8 * KIB,
        limit: 8 * KIB,
    };
    assert_eq!(check, Err(full));
    assert!(full.is_retryable());
    let refused = tx.try_send(weighing(KIB)).map(drop);
    assert_eq!(refused, exhausted(Scope::Stream, 4 * KIB, 4 * KIB));
    let refused = third.try_send(weighing(KIB)).map(drop);
    assert_eq!(refused, exhausted(Scope::Session, 8 * KIB, 8 * KIB));
    budget.check_memory_limit().expect("half is left");

    // The budget's.
    let (outside, _outside_rx) = stream(&budget, &waiting(16 * KIB));
    for _ in 0..8 {
        outside.try_send(weighing(KIB)).expect("room");
    }
    let refused = outside.try_send(weighing(KIB)).map(drop);
    assert_eq!(refused, exhausted(Scope::Budget, 16 * KIB, 16 * KIB));
    assert!(budget.check_memory_limit().is_err());
    assert_eq!(budget.stats().bytes_leased_peak, 16 * KIB);

    // What is read makes room on all levels.
    assert_eq!(read_now(&mut rx), messages(1..=4));
    assert_eq!(session.memory_usage(), 4 * KIB);
    session.check_memory_limit().expect("half is left");
    third.try_send(weighing(KIB)).expect("room");
    assert!(budget.audit().is_balanced());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_can_never_fit_is_refused_with_its_size() {
    let budget = budget(4 * KIB);
    let (small, _rx) = stream(&budget, &waiting(2 * KIB));
    let (large, _rx2) = stream(&budget, &waiting(64 * KIB));
    let check = |result: Result<(), _>, weight, limit| {
        assert_eq!(result, Err(SendError::TooLarge { weight, limit }));
    };
    check(
        small.try_send(weighing(2 * KIB + 1)).map(drop),
        2 * KIB + 1,
        2 * KIB,
    );
    check(
        large.send(weighing(5 * KIB)).await.map(drop),
        5 * KIB,
        4 * KIB,
    );
    assert!(small.try_reserve(4 * 1024).is_err());
    let endless = small.try_reserve(usize::MAX).map(drop);
    check(endless, u64::MAX, 2 * KIB);
    small.try_send(weighing(2 * KIB)).expect("it fits exactly");
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_its_reader() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &waiting(2 * KIB));
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            tx.send(weighing(KIB)).await.expect("room comes");
        }
        tx.finish();
    });
    let mut seen = Vec::new();
    while !rx.is_over() {
        settle().await;
        assert!(budget.audit().held <= 2 * KIB);
        seen.extend(read_now(&mut rx));
    }
    let mut expect = messages(1..=100);
    expect.push(Seen::Over);
    assert_eq!(seen, expect);
    writer.await.expect("no panic");
    drop(rx);
    check_empty(&budget);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_too_long_is_told() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &waiting(2 * KIB));
    tx.try_send(weighing(2 * KIB)).expect("room");
    let start = Instant::now();
    let error = tx.send(weighing(KIB)).await.expect_err("no room");
    assert_eq!(start.elapsed(), secs(1));
    assert!(matches!(error, SendError::Stalled { waited, exhausted }
        if waited == secs(1) && exhausted.scope == Scope::Stream));
    assert!(error.is_retryable());
    assert_eq!(read_now(&mut rx), messages(1..=1));
    assert_eq!(
        tx.send(weighing(KIB)).await.map(|id| id.seq()),
        Ok(2),
        "no id is lost"
    );
}

/// Nobody overtakes: neither a newer writer of the stream, nor another stream.
#[tokio::test(start_paused = true)]
async fn writers_are_served_in_the_order_in_which_they_came() {
    let budget = budget(8 * KIB);
    let (a, mut a_rx) = stream(&budget, &waiting(8 * KIB));
    let (b, mut b_rx) = stream(&budget, &waiting(8 * KIB));
    a.try_send(weighing(8 * KIB)).expect("room");
    let large = tokio::spawn(async move {
        let first = b.send(weighing(6 * KIB)).await.expect("room comes").seq();
        (first, b)
    });
    settle().await;
    let small = {
        let a = a.clone();
        tokio::spawn(async move { a.send(weighing(4 * KIB)).await.expect("room comes").seq() })
    };
    settle().await;
    assert!(a.try_send(weighing(KIB)).is_err());
    assert_eq!(read_now(&mut a_rx), messages(1..=1));
    // All is free; the large one came first.
    let (first, b) = large.await.expect("no panic");
    settle().await;
    assert!(!small.is_finished());
    assert_eq!(first, 1);
    assert_eq!(read_now(&mut b_rx), messages(1..=1));
    assert_eq!(small.await.expect("no panic"), 2);
    drop((a, b, a_rx, b_rx));
    check_empty(&budget);
}

#[tokio::test(start_paused = true)]
async fn a_permit_keeps_its_room() {
    let budget = budget(8 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(2 * KIB));
    let permit = tx.try_reserve(1024).expect("room");
    let other = tx.try_reserve(512).expect("room");
    assert!(tx.try_send(weighing(KIB)).is_err());
    assert_eq!(permit.send(vec![0; 100]).map(|id| id.seq()), Ok(1));
    let sent = tx.try_send(weighing(KIB)).map(|id| id.seq());
    assert_eq!(sent, Ok(2), "what the permit did not need is back");
    let error = other.send(vec![0; 513]).expect_err("more than it reserved");
    assert!(matches!(
        error,
        SendError::TooLarge {
            weight: 641,
            limit: 640
        }
    ));
    assert_eq!(tx.stats().bytes_held, 228 + KIB);
    assert_eq!(read_now(&mut rx), messages(1..=2));
}

/// 1,000 streams that hold nothing have no share of the budget, whatever they
/// held before.
#[tokio::test(start_paused = true)]
async fn idle_streams_hold_nothing() {
    let budget = budget(1024 * KIB);
    let streams: Vec<_> = (0..1_000)
        .map(|_| stream(&budget, &waiting(64 * KIB)))
        .collect();
    let mut streams = streams;
    for (tx, rx) in &mut streams {
        tx.try_send(weighing(KIB)).expect("room");
        assert_eq!(read_now(rx), messages(1..=1));
    }
    assert_eq!(budget.stats().bytes_leased, 0);
    let all: Vec<_> = streams
        .iter()
        .map(|(tx, _)| tx.try_send(weighing(KIB)))
        .collect();
    assert!(
        all.iter().all(Result::is_ok),
        "and small leases, where there are many"
    );
}

/// An unread stream fills its own part, and the session's other streams go on.
#[tokio::test(start_paused = true)]
async fn an_unread_stream_harms_no_other() {
    let budget = budget(1024 * KIB);
    let config = SessionConfig {
        bytes_max: 64 * KIB,
        stream: replaying(16 * KIB),
        ..SessionConfig::default()
    };
    let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
    let session = sessions.open("ann").expect("room");
    let (unread, _unread_rx) = session.open_stream().expect("room");
    while unread.try_send(weighing(KIB)).is_ok() {}
    let stuck = tokio::spawn(async move { unread.send(weighing(KIB)).await.map(drop) });
    settle().await;
    let (tx, mut rx) = session.open_stream().expect("room");
    let start = Instant::now();
    for id in 1..=1_000 {
        tx.send(weighing(KIB)).await.expect("room");
        assert_eq!(read_now(&mut rx), messages(id..=id));
    }
    assert_eq!(start.elapsed(), ms(0), "it never waited");
    assert!(!stuck.is_finished());
    assert!(session.memory_usage() <= 64 * KIB);
}

#[tokio::test(start_paused = true)]
async fn the_watermark_is_told_once() {
    let config = BudgetConfig {
        bytes_max: 100 * KIB,
        ..BudgetConfig::default()
    };
    let (budget, heard) = crate::support::observed(&config);
    let (tx, mut rx) = stream(&budget, &waiting(200 * KIB));
    for _ in 0..2 {
        while tx.try_send(weighing(KIB)).is_ok() {}
        assert_eq!(budget.stats().bytes_leased, 100 * KIB);
        read_now(&mut rx);
    }
    assert_eq!(heard.high(), [Scope::Budget; 2]);
    assert_eq!(
        heard.full(),
        [Scope::Budget; 2],
        "and the end of the room each time"
    );
    assert_eq!(budget.stats().warnings, 2);
}
