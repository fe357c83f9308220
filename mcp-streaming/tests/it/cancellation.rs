//! Writers and readers that go away where they wait.

use crate::support::{
    KIB, budget, check_empty, messages, ms, poll_once, read_now, replaying, settle, stream,
    waiting, weighing,
};
use tokio::time::timeout;

/// `send` and `reserve` are dropped while they wait for the stream, for the
/// session and the budget, first in the line and behind another: the other
/// writers go on, and no byte is lost.
#[tokio::test(start_paused = true)]
async fn a_writer_may_go_away_at_every_wait() {
    for (stream_max, budget_max) in [(2 * KIB, 64 * KIB), (64 * KIB, 2 * KIB)] {
        for reserves in [false, true] {
            for is_first in [false, true] {
                let budget = budget(budget_max);
                let (tx, mut rx) = stream(&budget, &waiting(stream_max));
                tx.try_send(weighing(2 * KIB)).expect("room");
                let mut kept = Box::pin(tx.send(weighing(KIB)));
                if !is_first {
                    assert!(poll_once(&mut kept).await.is_pending());
                }
                if reserves {
                    let gone = timeout(ms(1), tx.reserve(1024 - 128)).await;
                    assert!(gone.is_err());
                } else {
                    let gone = timeout(ms(1), tx.send(weighing(KIB))).await;
                    assert!(gone.is_err());
                }
                assert!(poll_once(&mut kept).await.is_pending());
                assert_eq!(read_now(&mut rx), messages(1..=1));
                assert_eq!(kept.await.map(|id| id.seq()), Ok(2));
                assert_eq!(read_now(&mut rx), messages(2..=2));
                drop((tx, rx));
                check_empty(&budget);
            }
        }
    }
}

/// The first in the line goes away after it was woken: the next one is woken.
#[tokio::test(start_paused = true)]
async fn a_wakeup_is_passed_on() {
    let budget = budget(2 * KIB);
    let (tx, mut rx) = stream(&budget, &waiting(2 * KIB));
    tx.try_send(weighing(2 * KIB)).expect("room");
    let mut gone = Box::pin(tx.send(weighing(KIB)));
    assert!(poll_once(&mut gone).await.is_pending());
    let next = {
        let tx = tx.clone();
        tokio::spawn(async move { tx.send(weighing(KIB)).await.map(|id| id.seq()) })
    };
    settle().await;
    read_now(&mut rx);
    drop(gone);
    settle().await;
    assert!(next.is_finished());
    assert_eq!(next.await.expect("no panic"), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_go_away_while_it_waits() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &waiting(2 * KIB));
    assert!(timeout(ms(1), rx.next()).await.is_err());
    tx.try_send("one").expect("room");
    assert_eq!(read_now(&mut rx), messages(1..=1));
}

/// What a reader took and did not pass on is read by the next one.
#[tokio::test(start_paused = true)]
async fn a_lost_reader_takes_nothing_along() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(16 * KIB));
    for _ in 0..6 {
        tx.try_send("event").expect("room");
    }
    assert!(rx.next().await.is_some());
    drop(rx);
    let mut rx = tx.reader();
    assert_eq!(read_now(&mut rx), messages(1..=6), "at least once");
}

#[tokio::test(start_paused = true)]
async fn everything_may_be_dropped_in_any_order() {
    let budget = budget(64 * KIB);
    for order in 0..6 {
        let (tx, rx) = stream(&budget, &replaying(4 * KIB));
        let waiting = tx.clone();
        let writer =
            tokio::spawn(async move { while waiting.send(weighing(KIB)).await.is_ok() {} });
        settle().await;
        match order {
            0 => drop((tx, rx)),
            1 => drop((rx, tx)),
            2 => {
                tx.finish();
                drop((rx, tx));
            }
            3 => {
                let newer = tx.reader();
                drop((rx, newer, tx));
            }
            4 => {
                let newer = tx.reader();
                drop((newer, rx, tx));
            }
            _ => {
                let permit = tx.try_reserve(10).map(drop);
                assert!(permit.is_err(), "full");
                drop((tx, rx));
            }
        }
        writer.abort();
        // Aborted, or told that the stream has ended.
        let _ = writer.await;
        check_empty(&budget);
    }
}
