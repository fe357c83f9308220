//! The three promises that everybody asks a pool about first.

use crate::support::{Outcome, assert_at_rest, config, ms, pool, settle};
use mcp_pool::{ConnectionPool, ConnectionPoolConfig, Error};
use tokio::task::JoinSet;

/// A thousand checkouts by ten tasks at once need ten connections at the most:
/// at least 99 % of them reuse one.
#[tokio::test(start_paused = true)]
async fn test_connection_pool_reuse() {
    let config: ConnectionPoolConfig = config(10);
    let (pool, server) = pool(&config);
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let pool: ConnectionPool<_> = pool.clone();
        tasks.spawn(async move {
            for _ in 0..100 {
                let lease = pool.get().await.expect("a connection");
                tokio::time::sleep(ms(1)).await;
                drop(lease);
            }
        });
    }
    tasks.join_all().await;
    let stats = pool.stats();
    assert_eq!(stats.checkouts, 1_000);
    assert!(server.connects_begun() <= 10);
    assert!(stats.reuse_ratio() >= 0.99, "{stats:?}");
    assert_eq!(stats.reused, 1_000 - stats.opened);
    assert_at_rest(&pool, &server);
}

/// Broken connections are found by a round of checks, by the look at the next
/// checkout, and by the look at the return; a borrower sees none of them.
#[tokio::test(start_paused = true)]
async fn test_connection_health_monitoring() {
    let (pool, server) = pool(&config(4));
    let leases = [pool.get().await, pool.get().await, pool.get().await];
    let leases = leases.map(|lease| lease.expect("a connection"));
    let kill_later = leases[0].killer();
    drop(leases);

    server.checks([Outcome::Ok, Outcome::Err, Outcome::Ok]);
    let report = pool.health_check().await;
    assert_eq!((report.passed, report.removed), (2, 1));
    assert_eq!(pool.stats().closes.unhealthy, 1);

    // Killed while it was idle: the next borrower gets another one.
    kill_later.store(false, std::sync::atomic::Ordering::SeqCst);
    let lease = pool.get().await.expect("a connection");
    assert!(!std::sync::Arc::ptr_eq(&lease.killer(), &kill_later));
    let other = pool.get().await.expect("a connection");
    assert!(!std::sync::Arc::ptr_eq(&other.killer(), &kill_later));
    assert_eq!(pool.stats().closes.broken, 1);

    // Killed while it was lent.
    lease.kill();
    drop((lease, other));
    settle().await;
    assert_eq!(pool.stats().closes.broken, 2);
    assert_eq!(pool.stats().idle, 1);
    assert_at_rest(&pool, &server);
}

/// A hundred tasks never have more than the limit; who is too many waits, who
/// waits too long is told why, and too many waiters are refused.
#[tokio::test(start_paused = true)]
async fn test_connection_pool_limits() {
    let config = ConnectionPoolConfig {
        max_waiters: 100,
        acquire_timeout: ms(100),
        ..config(7)
    };
    let (pool, server) = pool(&config);
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let lease = pool.get().await.expect("a connection");
            tokio::time::sleep(ms(1)).await;
            drop(lease);
        });
    }
    while tasks.join_next().await.is_some() {}
    assert_eq!(server.most(), 7);

    let mut leases = Vec::new();
    for _ in 0..7 {
        leases.push(pool.get().await.expect("a connection"));
    }
    let Err(Error::Timeout { limit, in_use, .. }) = pool.get().await else {
        panic!("all are lent")
    };
    assert_eq!((limit, in_use), (ms(100), 7));

    for _ in 0..100 {
        let pool = pool.clone();
        tasks.spawn(async move { drop(pool.get().await) });
    }
    settle().await;
    assert!(matches!(
        pool.get().await,
        Err(Error::Overloaded { limit: 100 })
    ));
    drop(leases);
    tasks.join_all().await;
    assert_eq!(server.most(), 7);
    assert_at_rest(&pool, &server);
}
