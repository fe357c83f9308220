//! Idle time and age.

use crate::support::{assert_at_rest, config, ms, pool, secs, settle};
use mcp_pool::Config;

#[tokio::test(start_paused = true)]
async fn what_is_idle_for_too_long_is_closed_down_to_the_minimum() {
    let (pool, server) = pool(&Config {
        max_idle_time: Some(secs(300)),
        min_connections: 1,
        ..config(4)
    });
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.get().await.expect("a connection"));
    }
    for lease in leases {
        drop(lease);
        tokio::time::sleep(secs(60)).await;
    }
    // They became idle at 0, 60, 120 and 180 s; now it is 240 s.
    for (at_s, idle) in [(299, 4), (301, 3), (361, 2), (421, 1), (481, 1), (9_000, 1)] {
        tokio::time::sleep(secs(at_s) - elapsed(&pool)).await;
        assert_eq!(pool.stats().idle, idle, "at {at_s} s");
    }
    assert_eq!(pool.stats().closes.idle, 3);
    assert_at_rest(&pool, &server);
}

fn elapsed(pool: &mcp_pool::Pool<crate::support::Fake>) -> std::time::Duration {
    pool.manager().0.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_is_reaped_first() {
    let (pool, _) = pool(&Config {
        max_idle_time: Some(secs(10)),
        ..config(3)
    });
    let old = pool.get().await.expect("a connection");
    let young = pool.get().await.expect("a connection");
    let young_id = young.id();
    drop(old);
    tokio::time::sleep(secs(5)).await;
    drop(young);
    tokio::time::sleep(secs(6)).await;
    assert_eq!(pool.stats().idle, 1);
    assert_eq!(pool.get().await.expect("a connection").id(), young_id);
}

/// Connections made at the same moment do not die at the same moment.
#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_closed_at_a_random_moment_around_its_age() {
    let (pool, server) = pool(&Config {
        max_lifetime: Some(secs(1_000)),
        ..config(50)
    });
    let mut leases = Vec::new();
    for _ in 0..50 {
        leases.push(pool.get().await.expect("a connection"));
    }
    drop(leases);
    let mut idle = Vec::new();
    for at_s in [890, 950, 1_000, 1_050, 1_101] {
        tokio::time::sleep(secs(at_s) - elapsed(&pool)).await;
        idle.push(pool.stats().idle);
    }
    assert_eq!((idle[0], idle[4]), (50, 0), "{idle:?}");
    assert!(idle[1] > idle[2] && idle[2] > idle[3], "{idle:?}");
    assert_eq!(pool.stats().closes.expired, 50);
    assert_at_rest(&pool, &server);
}

/// A lent one is left alone, and closed when it comes back; who waits gets a
/// new one.
#[tokio::test(start_paused = true)]
async fn a_lent_connection_that_is_too_old_is_closed_at_its_return() {
    let (pool, server) = pool(&Config {
        max_lifetime: Some(secs(10)),
        ..config(1)
    });
    let lease = pool.get().await.expect("a connection");
    let id = lease.id();
    tokio::time::sleep(secs(20)).await;
    assert_eq!((server.open(), lease.age()), (1, secs(20)));
    let waits = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.expect("a connection").id() }
    });
    settle().await;
    drop(lease);
    assert_ne!(waits.await.expect("no panic"), id);
    assert_eq!(pool.stats().closes.expired, 1);
    assert_at_rest(&pool, &server);
}

/// A timed-out request is no reason to close its connection; a broken
/// transport is, and so is a borrower's word.
#[tokio::test(start_paused = true)]
async fn a_request_that_times_out_retires_nothing() {
    let (pool, server) = pool(&config(1));
    let lease = pool.get().await.expect("a connection");
    let id = lease.id();
    let request = async {
        let _lease = lease;
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(ms(10), request).await.is_err());
    let mut lease = pool.get().await.expect("a connection");
    assert_eq!(lease.id(), id);
    lease.retire();
    drop(lease);
    let lease = pool.get().await.expect("a connection");
    assert_ne!(lease.id(), id);
    drop(lease);
    assert_at_rest(&pool, &server);
}
