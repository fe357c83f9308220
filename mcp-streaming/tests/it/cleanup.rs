//! Time limits, by the one wheel.

use crate::support::{
    KIB, Seen, budget, check_empty, observed, read_now, replaying, secs, stream, waiting, weighing,
};
use mcp_streaming::{
    Budget, BudgetConfig, EndReason, OpenStreamError, SendError, SessionConfig, Sessions,
    StreamConfig,
};
use tokio::time::sleep;

fn sessions(budget: &Budget) -> Sessions {
    let config = SessionConfig {
        stream: replaying(16 * KIB),
        life_time: Some(secs(3600)),
        ..SessionConfig::default()
    };
    Sessions::new(budget, &config).expect("a valid configuration")
}

/// 10,000 sessions that nobody comes back to, each with a stream that holds
/// something: after their time the counter is 0 and nothing is left.
#[tokio::test(start_paused = true)]
async fn test_automatic_cleanup() {
    let (budget, heard) = observed(&BudgetConfig::default());
    let sessions = sessions(&budget);
    let mut kept = Vec::new();
    for number in 0..10_000 {
        let owner = format!("owner {}", number % 100);
        let session = sessions.open(&owner).expect("room");
        if number % 2 == 0 {
            session.initialized();
        }
        let (tx, rx) = session.open_stream().expect("room");
        tx.try_send(weighing(KIB)).expect("room");
        drop(rx);
        if number % 1_000 == 0 {
            kept.push(tx);
        }
    }
    let stats = budget.stats();
    assert_eq!((stats.streams, stats.timers), (10_000, 10_000));
    assert_eq!(budget.audit().held, 10_000 * KIB);
    sleep(secs(61)).await;
    assert_eq!(sessions.stats().open, 5_000, "those that were initialized");
    sleep(secs(241)).await;
    let stats = sessions.stats();
    assert_eq!((stats.open, stats.expired), (0, 10_000));
    assert_eq!(budget.stats().bytes_leased, 0);
    assert_eq!(heard.sessions().len(), 10_000);
    for tx in &kept {
        assert!(matches!(tx.try_send("late"), Err(SendError::Ended(_))));
    }
    drop(kept);
    check_empty(&budget);
}

#[tokio::test(start_paused = true)]
async fn each_limit_ends_a_session_and_says_so() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let check = async |initialized: bool, used_for: u64, quiet: u64, expect: Option<EndReason>| {
        let session = sessions.open("ann").expect("room");
        let (tx, rx) = session.open_stream().expect("room");
        tx.try_send("one").expect("room");
        drop(rx);
        if initialized {
            session.initialized();
        }
        for _ in 0..used_for {
            sleep(secs(1)).await;
            let _ = sessions.get("ann", session.id());
        }
        sleep(secs(quiet)).await;
        assert_eq!(session.end(), expect, "{initialized} {used_for} {quiet}");
        if let Some(reason) = expect {
            assert_eq!(tx.end(), Some(reason));
            assert_eq!(session.memory_usage(), 0);
            assert_eq!(sessions.get("ann", session.id()).map(drop), None);
            let opened = session.open_stream().map(drop);
            assert_eq!(opened, Err(OpenStreamError::Ended(reason)));
        }
        session.close();
    };
    check(false, 0, 59, None).await;
    check(false, 0, 61, Some(EndReason::NotInitialized)).await;
    check(false, 61, 0, Some(EndReason::NotInitialized)).await;
    check(true, 0, 299, None).await;
    check(true, 0, 301, Some(EndReason::Idle)).await;
    check(true, 1_000, 299, None).await;
    check(true, 3_601, 0, Some(EndReason::LifeTime)).await;
    drop(sessions);
    check_empty(&budget);
}

/// A reader that reads keeps its session; one that stands still does not.
#[tokio::test(start_paused = true)]
async fn a_session_is_used_as_long_as_it_is_read() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    session.initialized();
    let (tx, mut rx) = session.open_stream().expect("room");
    sleep(secs(1_000)).await;
    assert_eq!(session.end(), None, "it waits for events");
    tx.try_send("one").expect("room");
    sleep(secs(601)).await;
    assert_eq!(
        session.end(),
        Some(EndReason::Idle),
        "it does not read what there is"
    );
    assert_eq!(
        read_now(&mut rx),
        [Seen::Ended(EndReason::Idle), Seen::Over]
    );
}

/// Streams outside of sessions, too; what is dropped leaves the wheel at once.
#[tokio::test(start_paused = true)]
async fn a_stream_without_a_reader_ends() {
    let budget = budget(1024 * KIB);
    let config = StreamConfig {
        idle_timeout: Some(secs(300)),
        ..replaying(16 * KIB)
    };
    let (tx, rx) = stream(&budget, &config);
    let (_never, _never_rx) = stream(&budget, &waiting(16 * KIB));
    sleep(secs(1_000)).await;
    assert_eq!(tx.end(), None, "it has a reader");
    drop(rx);
    sleep(secs(299)).await;
    assert_eq!(tx.end(), None);
    drop(tx.reader());
    sleep(secs(299)).await;
    assert_eq!(tx.end(), None, "it had a reader");
    sleep(secs(2)).await;
    assert_eq!(tx.end(), Some(EndReason::Idle));
    assert_eq!(budget.stats().ended_idle, 1);

    let gone: Vec<_> = (0..1_000).map(|_| stream(&budget, &config)).collect();
    assert_eq!(budget.stats().timers, 1_000);
    drop(gone);
    assert_eq!(budget.stats().timers, 0);
}

/// Streams that ended are kept for a reader that comes back, for a while.
#[tokio::test(start_paused = true)]
async fn a_session_lets_go_of_streams_that_ended() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    session.initialized();
    let (tx, rx) = session.open_stream().expect("room");
    tx.try_send("the answer").expect("room");
    tx.finish();
    drop((tx, rx));
    sleep(secs(30)).await;
    assert!(session.memory_usage() > 0);
    sleep(secs(120)).await;
    assert_eq!((session.memory_usage(), budget.stats().streams), (0, 0));
    assert_eq!(session.end(), None);
}
