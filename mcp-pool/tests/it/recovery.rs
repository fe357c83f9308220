//! Connects that fail.

use crate::support::{Outcome, Refused, assert_at_rest, config, ms, pool, secs, settle};
use mcp_pool::{Cause, Config, Error};
use tokio::{task::JoinSet, time::Instant};

#[tokio::test(start_paused = true)]
async fn a_failed_connect_is_tried_again_for_the_waiter() {
    for bad in [Outcome::Err, Outcome::Panic, Outcome::Never] {
        let (pool, server) = pool(&Config {
            connect_timeout: ms(100),
            ..config(1)
        });
        server.connects([bad, bad, bad]);
        let lease = pool.get().await.expect("the fourth works");
        drop(lease);
        assert_eq!(server.connects_begun(), 4);
        assert_eq!(pool.stats().connect_failures, 3);
        assert!(pool.last_connect_error().is_none(), "it works now");
        assert_at_rest(&pool, &server);
    }
}

/// Half of each delay is random: 50 to 100 % of 50, 100, 200 ... 5,000 ms.
#[tokio::test(start_paused = true)]
async fn connects_are_tried_less_and_less_often() {
    let (pool, server) = pool(&config(8));
    server.all_connects(Outcome::Err);
    let mut waiters = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        waiters.spawn(async move { pool.get_timeout(secs(3600)).await.map(drop) });
    }
    let mut begun = Vec::new();
    for until_s in [1, 10, 60] {
        tokio::time::sleep(secs(until_s)).await;
        begun.push(server.connects_begun());
    }
    // 8 at once to begin with, then one at a time.
    assert!((8 + 4..=8 + 10).contains(&begun[0]), "{begun:?}");
    let later = begun[2] - begun[1];
    assert!((11..=26).contains(&later), "60 s at 2.5 to 5 s: {begun:?}");
    server.all_connects(Outcome::Ok);
    let start = Instant::now();
    let served = waiters.join_all().await;
    assert!(served.iter().all(Result::is_ok) && start.elapsed() <= secs(5));
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_why() {
    let cases: [(Outcome, &str); 4] = [
        (Outcome::Err, "refused today"),
        (Outcome::Never, "not connected within 100ms"),
        (Outcome::Panic, "did not come to an end"),
        (Outcome::Slow(50), "ends"),
    ];
    for (outcome, why) in cases {
        let (pool, server) = pool(&Config {
            connect_timeout: ms(100),
            ..config(1)
        });
        server.all_connects(outcome);
        let start = Instant::now();
        let got = pool.get_timeout(secs(2)).await;
        if outcome == Outcome::Slow(50) {
            assert!(got.is_ok(), "{why}");
            continue;
        }
        assert_eq!(start.elapsed(), secs(2));
        let error = got.map(drop).expect_err("none works");
        assert!(
            error.is_retryable() && error.to_string().contains(why),
            "{error}"
        );
        let refused = error.manager_error::<Refused>();
        assert_eq!(refused.is_some(), outcome == Outcome::Err);
        let Error::Timeout {
            cause: Some(cause), ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(
            matches!(*cause, Cause::TimedOut { .. }),
            outcome == Outcome::Never
        );
    }
}

/// A wrong password does not get better: who waits is told at once, unless
/// another connection is open.
#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_told_at_once() {
    let (pool, server) = pool(&config(2));
    server.all_connects(Outcome::Fatal);
    let start = Instant::now();
    let error = pool.get().await.map(drop).expect_err("refused");
    assert_eq!(start.elapsed(), ms(0));
    assert!(matches!(error, Error::Connect { .. }) && !error.is_retryable());
    assert_eq!(error.manager_error(), Some(&Refused::ForGood));

    server.all_connects(Outcome::Ok);
    let lease = pool.get().await.expect("a connection");
    server.all_connects(Outcome::Fatal);
    let returns = async {
        tokio::time::sleep(ms(500)).await;
        drop(lease);
    };
    let (got, ()) = tokio::join!(pool.get(), returns);
    assert!(got.is_ok(), "{got:?}");
    drop(got);
    assert_at_rest(&pool, &server);
}

/// The place of a connect that failed goes to whoever waits: with one place
/// and connects of which most fail, all are served.
#[tokio::test(start_paused = true)]
async fn a_failed_connect_passes_its_place_on() {
    let (pool, server) = pool(&config(1));
    server.connects((0..40).map(|n| {
        if n % 4 == 3 {
            Outcome::Ok
        } else {
            Outcome::Err
        }
    }));
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut lease = pool.get().await?;
            lease.retire();
            Ok::<_, Error>(())
        });
    }
    let served = tasks.join_all().await;
    assert!(served.iter().all(Result::is_ok), "{served:?}");
    settle().await;
    assert_eq!((server.connects_begun(), server.most()), (40, 1));
    assert_at_rest(&pool, &server);
}

/// The other side goes away and comes back: nobody has to be told.
#[tokio::test(start_paused = true)]
async fn the_pool_recovers_by_itself() {
    let (pool, server) = pool(&Config {
        min_connections: 4,
        health_check_interval: Some(secs(1)),
        ..config(8)
    });
    settle().await;
    server.all_connects(Outcome::Err);
    server.all_checks(Outcome::Err);
    tokio::time::sleep(secs(30)).await;
    assert_eq!((pool.stats().idle, server.open()), (0, 0));
    server.all_connects(Outcome::Ok);
    server.all_checks(Outcome::Ok);
    tokio::time::sleep(secs(6)).await;
    assert_eq!((pool.stats().idle, server.open()), (4, 4));
    assert_at_rest(&pool, &server);
}
