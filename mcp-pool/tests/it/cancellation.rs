//! Callers that go away at each point where they can wait, however the connect
//! or the check that was begun for them goes.

use crate::support::{Fake, Outcome, Server, assert_at_rest, config, ms, pool, secs, settle};
use mcp_pool::{Config, Pool};
use std::{future::Future, sync::Arc, task::Poll};
use tokio::{task::JoinSet, time::timeout};

const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::Err,
    Outcome::Fatal,
    Outcome::Slow(20),
    Outcome::Never,
    Outcome::Panic,
];

/// When the caller goes away.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    /// Before its future is polled.
    Unpolled,
    /// After one poll.
    Polled,
    /// After one poll and whatever can happen without time, unseen.
    Unseen,
    /// After so many milliseconds.
    After(u64),
}

const LEAVES: [Leaves; 6] = [
    Leaves::Unpolled,
    Leaves::Polled,
    Leaves::Unseen,
    Leaves::After(1),
    Leaves::After(20),
    Leaves::After(60),
];

fn patient() -> Config {
    Config {
        check_after: ms(0),
        check_timeout: ms(200),
        connect_timeout: ms(200),
        ..config(2)
    }
}

async fn leave(pool: &Pool<Fake>, leaves: Leaves) {
    let mut get = Box::pin(pool.get());
    match leaves {
        Leaves::Unpolled => {}
        Leaves::Polled | Leaves::Unseen => {
            std::future::poll_fn(|cx| {
                let _ = get.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            if matches!(leaves, Leaves::Unseen) {
                settle().await;
            }
        }
        Leaves::After(after_ms) => drop(timeout(ms(after_ms), &mut get).await),
    }
}

/// Afterwards nothing is out of place, and as many are served as may be.
async fn assert_whole(pool: &Pool<Fake>, server: &Server, case: &str) {
    tokio::time::sleep(secs(5)).await;
    assert_at_rest(pool, server);
    server.heal();
    let gets = (0..6).map(|_| {
        let pool = pool.clone();
        async move {
            let lease = pool.get().await?;
            tokio::time::sleep(ms(5)).await;
            drop(lease);
            Ok::<_, mcp_pool::Error>(())
        }
    });
    let served: Vec<_> = gets.collect::<JoinSet<_>>().join_all().await;
    assert!(served.iter().all(Result::is_ok), "{case}: {served:?}");
    tokio::time::sleep(secs(5)).await;
    assert_at_rest(pool, server);
}

/// The caller waits for a connect, alone or behind another one.
#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_while_a_connect_is_at_work() {
    for outcome in OUTCOMES {
        for leaves in LEAVES {
            for others in [0, 1, 3] {
                let case = format!("{outcome:?} {leaves:?} {others}");
                let (pool, server) = pool(&patient());
                server.connects([outcome; 3]);
                let mut stay = JoinSet::new();
                for _ in 0..others {
                    let pool = pool.clone();
                    stay.spawn(async move { drop(pool.get().await) });
                }
                settle().await;
                leave(&pool, leaves).await;
                stay.join_all().await;
                assert_whole(&pool, &server, &case).await;
            }
        }
    }
}

/// The caller waits for the check of an idle connection.
#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_while_a_check_is_at_work() {
    for outcome in OUTCOMES {
        for leaves in LEAVES {
            for idle in [1, 2] {
                let case = format!("{outcome:?} {leaves:?} {idle}");
                let (pool, server) = pool(&patient());
                let leases = leases(&pool, idle).await;
                drop(leases);
                server.checks([outcome; 2]);
                leave(&pool, leaves).await;
                assert_whole(&pool, &server, &case).await;
            }
        }
    }
}

/// All connections are lent; one comes back before, at, or after the moment in
/// which the caller goes away.
#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_while_all_are_lent() {
    for leaves in LEAVES {
        for back_ms in [0, 1, 20, 40, 60, 80] {
            let case = format!("{leaves:?} {back_ms}");
            let (pool, server) = pool(&patient());
            let leases = leases(&pool, 2).await;
            let returns = async {
                tokio::time::sleep(ms(back_ms)).await;
                drop(leases);
            };
            tokio::join!(leave(&pool, leaves), returns);
            assert_whole(&pool, &server, &case).await;
        }
    }
}

/// The connection was handed over, and the waiter went away before it looked:
/// it is the next one's, or idle.
#[tokio::test(start_paused = true)]
async fn what_a_leaver_was_given_goes_to_the_next() {
    for next in [false, true] {
        let (pool, server) = pool(&config(1));
        let lease = pool.get().await.expect("a connection");
        let mut gone = Box::pin(pool.get());
        poll_once(&mut gone).await;
        let mut behind = Box::pin(pool.get());
        if next {
            poll_once(&mut behind).await;
        }
        drop(lease);
        drop(gone);
        let stats = pool.stats();
        assert_eq!(
            (stats.in_use, stats.idle),
            if next { (1, 0) } else { (0, 1) }
        );
        assert_eq!(stats.cancelled, 1);
        assert_eq!(stats.checkouts, if next { 2 } else { 1 });
        drop(behind.await.expect("a connection"));
        assert_eq!(pool.stats().checkouts, 2);
        assert_at_rest(&pool, &server);
    }
}

/// A round of checks that is dropped leaves no connection out.
#[tokio::test(start_paused = true)]
async fn a_health_check_may_be_dropped() {
    for outcome in OUTCOMES {
        for after_ms in [0, 1, 30] {
            let (pool, server) = pool(&config(4));
            drop(leases(&pool, 4).await);
            server.all_checks(outcome);
            let _ = timeout(ms(after_ms), pool.health_check()).await;
            assert_whole(&pool, &server, &format!("{outcome:?} {after_ms}")).await;
        }
    }
}

/// 64 tasks that lose patience at every moment, for a second and a half of
/// paused time: never more than the limit, and nobody is stuck after it.
#[tokio::test(start_paused = true)]
async fn a_storm_of_leavers_leaves_the_pool_whole() {
    let (pool, server) = pool(&config(8));
    server.all_connects(Outcome::Slow(3));
    let start = tokio::time::Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..64u64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut patience_ms = task;
            while start.elapsed() < ms(1_500) {
                patience_ms = (patience_ms * 31 + 7) % 9;
                if let Ok(Ok(lease)) = timeout(ms(patience_ms), pool.get()).await {
                    tokio::time::sleep(ms(1 + patience_ms % 3)).await;
                    drop(lease);
                }
            }
        });
    }
    tasks.join_all().await;
    assert!(pool.stats().cancelled > 1_000);
    assert_whole(&pool, &server, "storm").await;
}

async fn poll_once<F: Future + Unpin>(future: &mut F) {
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut *future).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

async fn leases(pool: &Pool<Fake>, count: usize) -> Vec<mcp_pool::Lease<'_, Fake>> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(pool.get().await.expect("a connection"));
    }
    leases
}

/// Used by the cases above; shown here to be able to tell.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "(1, 0, 0, 0)")]
async fn a_lease_that_is_out_is_noticed() {
    let (pool, server) = pool(&patient());
    let lease = pool.get_owned().await.expect("a connection");
    let _out = Arc::new(lease);
    assert_at_rest(&pool, &server);
}
