//! The report, and the books.

use crate::support::{
    KIB, budget, check_empty, messages, read_now, replaying, secs, stream, waiting, weighing,
};
use mcp_streaming::{EndReason, Rx, SessionConfig, Sessions, SlowConsumer, StreamConfig, Tx};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn what_stands_still_is_reported_with_where_it_was_made() {
    let budget = budget(1024 * KIB);
    let (tx, rx) = stream(&budget, &replaying(16 * KIB));
    let line = line!() + 1;
    let (lost, lost_rx) = budget.stream(&replaying(16 * KIB)).expect("valid");
    let (stuck, stuck_rx) = stream(&budget, &replaying(16 * KIB));
    lost.try_send(weighing(KIB)).expect("room");
    drop(lost_rx);
    stuck.try_send(weighing(2 * KIB)).expect("room");
    assert!(budget.leaks(secs(60)).is_clean());
    sleep(secs(61)).await;
    let report = budget.leaks(secs(60));
    assert!(!report.is_clean());
    let found: Vec<_> = report
        .streams
        .iter()
        .map(|leak| (leak.bytes_held, leak.has_reader, leak.writers))
        .collect();
    assert_eq!(
        found,
        [(2 * KIB, true, 1), (KIB, false, 1)],
        "the largest first"
    );
    let leak = &report.streams[1];
    let place = format!("leaks.rs:{line}:");
    assert!(leak.created_at.contains(&place), "{}", leak.created_at);
    assert!(leak.stood_still > secs(60) && leak.age >= leak.stood_still);
    assert!(report.audit.is_balanced());
    assert_eq!(report.audit.without_owner, 0);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["streams"][0]["bytes_held"], 2 * KIB);
    drop((tx, rx, lost, stuck, stuck_rx));
    check_empty(&budget);
}

/// The books are right at any moment, while threads write, read and drop.
#[test]
fn an_audit_is_exact_while_streams_come_and_go() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let budget = budget(256 * KIB);
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..8u64 {
            let budget = budget.clone();
            tasks.spawn(async move {
                for round in 0..200 {
                    let (tx, mut rx) = stream(&budget, &replaying(64 * KIB));
                    for size in 0..(seed + round) % 20 {
                        let _ = tx.try_send(weighing(128 + size * 300));
                        if size % 3 == 0 {
                            read_now(&mut rx);
                        }
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        while !tasks.is_empty() {
            for _ in 0..50 {
                let audit = budget.audit();
                assert!(audit.is_balanced(), "{audit:?}");
                assert!(audit.counted <= 256 * KIB);
            }
            while let Some(ended) = tasks.try_join_next() {
                ended.expect("no panic");
            }
            tokio::task::yield_now().await;
        }
        check_empty(&budget);
    });
}

#[tokio::test(start_paused = true)]
async fn reading_leaves_no_trace() {
    let budget = budget(1024 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(16 * KIB));
    tx.try_send("one").expect("room");
    assert_eq!(read_now(&mut rx), messages(1..=1));
    sleep(secs(3_600)).await;
    assert!(budget.leaks(secs(60)).is_clean(), "it waits for events");
}

/// A reader that took what there was and never came back reads nothing, and its
/// session is not used.
#[tokio::test(start_paused = true)]
async fn what_is_in_a_dead_readers_hands_is_a_leak() {
    let budget = budget(1024 * KIB);
    let config = SessionConfig {
        bytes_max: 64 * KIB,
        stream: replaying(32 * KIB),
        ..SessionConfig::default()
    };
    let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
    let session = sessions.open("ann").expect("room");
    session.initialized();
    let (tx, mut rx) = session.open_stream().expect("room");
    for _ in 0..4 {
        tx.try_send(weighing(8 * KIB)).expect("room");
    }
    assert!(rx.next().await.is_some());
    sleep(secs(61)).await;
    let report = budget.leaks(secs(60));
    assert_eq!(report.streams.len(), 1);
    assert_eq!(report.streams[0].bytes_held, 32 * KIB);
    sleep(secs(600)).await;
    assert_eq!(session.end(), Some(EndReason::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_permit_is_a_leak() {
    let budget = budget(64 * KIB);
    let (tx, _rx) = stream(&budget, &replaying(64 * KIB));
    sleep(secs(100)).await;
    let permit = tx.try_reserve(60 * 1024).expect("room");
    assert!(budget.leaks(secs(60)).is_clean(), "it is new");
    sleep(secs(61)).await;
    assert_eq!(budget.leaks(secs(60)).streams.len(), 1);
    drop(permit);
    assert!(budget.leaks(secs(60)).is_clean());
}

/// Events that make room for newer ones are no work of a reader that is not there.
#[tokio::test(start_paused = true)]
async fn a_writer_does_not_keep_an_unread_stream_alive() {
    let budget = budget(1024 * KIB);
    let config = StreamConfig {
        slow_consumer: SlowConsumer::DropHistory,
        idle_timeout: Some(secs(300)),
        ..replaying(4 * KIB)
    };
    let (tx, rx) = stream(&budget, &config);
    drop(rx);
    for _ in 0..2 {
        sleep(secs(100)).await;
        tx.try_send(weighing(3 * KIB))
            .expect("the oldest makes room");
    }
    assert!(!budget.leaks(secs(150)).is_clean());
    sleep(secs(101)).await;
    assert_eq!(tx.end(), Some(EndReason::Idle));
}

/// Two threads make the first two streams of a budget at the same moment: its
/// clock starts in any case.
#[tokio::test(start_paused = true)]
async fn the_clock_starts_with_the_first_of_two_streams() {
    let budgets: Vec<_> = (0..500).map(|_| budget(64 * KIB)).collect();
    // Until all keepers sleep.
    sleep(secs(1)).await;
    let step = AtomicUsize::new(0);
    let make = || {
        let mut made = Vec::new();
        for (index, budget) in budgets.iter().enumerate() {
            step.fetch_add(1, Ordering::AcqRel);
            while step.load(Ordering::Acquire) < 2 * (index + 1) {
                std::hint::spin_loop();
            }
            made.push(stream(budget, &waiting(4 * KIB)));
        }
        made
    };
    let runtime = tokio::runtime::Handle::current();
    let (streams, _others) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            // The paused clock is the runtime's.
            let _inside = runtime.enter();
            make()
        });
        (make(), other.join().expect("no panic"))
    });
    for (tx, _) in &streams {
        tx.try_send("unread").expect("room");
    }
    sleep(secs(1)).await;
    let stands = |(tx, _): &&(Tx, Rx)| tx.stats().stood_still.is_zero();
    assert_eq!(streams.iter().filter(stands).count(), 0);
}
