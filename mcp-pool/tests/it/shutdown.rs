//! How a pool ends.

use crate::support::{Outcome, config, ms, pool, secs, settle};
use mcp_pool::{Config, Error};
use std::sync::atomic::Ordering;
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_lent_and_refuses_the_rest() {
    let (pool, server) = pool(&config(3));
    let lent = pool.get().await.expect("a connection");
    drop(pool.get().await.expect("another one"));
    let full = [pool.get().await, pool.get().await];
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    settle().await;
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    settle().await;
    assert!(matches!(
        waiter.await.expect("no panic"),
        Err(Error::Closed)
    ));
    assert!(matches!(pool.get().await, Err(Error::Closed)));
    assert!(pool.try_get().is_none() && pool.is_closed());
    drop(full);
    tokio::time::sleep(secs(60)).await;
    assert!(!closing.is_finished(), "one is out");
    drop(lent);
    closing.await.expect("closed");
    settle().await;
    assert_eq!(
        (server.open(), server.closed.load(Ordering::SeqCst)),
        (0, 3)
    );
    assert_eq!(pool.stats().closes.closed, 3);
    pool.close().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_close_leaves_it_closed() {
    let (pool, server) = pool(&config(1));
    let lent = pool.get().await.expect("a connection");
    assert!(timeout(ms(10), pool.close()).await.is_err());
    assert!(matches!(pool.get().await, Err(Error::Closed)));
    drop(lent);
    pool.close().await;
    settle().await;
    assert_eq!(server.open(), 0);
}

/// A connect that is at work when the pool closes is closed when it is made.
#[tokio::test(start_paused = true)]
async fn a_late_connect_meets_a_closed_pool() {
    for outcome in [
        Outcome::Slow(100),
        Outcome::Err,
        Outcome::Never,
        Outcome::Panic,
    ] {
        let (pool, server) = pool(&Config {
            connect_timeout: ms(500),
            ..config(1)
        });
        server.all_connects(outcome);
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.get().await.map(drop) }
        });
        tokio::time::sleep(ms(10)).await;
        timeout(secs(1), pool.close()).await.expect("it ends");
        assert!(waiter.await.expect("no panic").is_err());
        settle().await;
        assert_eq!(server.open(), 0, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_handles_everything_ends() {
    let (pool, server) = pool(&Config {
        min_connections: 3,
        health_check_interval: Some(secs(1)),
        ..config(3)
    });
    settle().await;
    assert_eq!(server.open(), 3);
    drop(pool);
    settle().await;
    assert_eq!(
        (server.open(), server.closed.load(Ordering::SeqCst)),
        (0, 3)
    );
    // The upkeep held the manager, and the manager the server.
    assert_eq!(std::sync::Arc::strong_count(&server), 1);
}

/// The runtime ends under a pool that is still held elsewhere: it is closed,
/// and a lease can still be dropped.
#[test]
fn a_pool_ends_with_its_runtime() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    };
    let first = runtime().expect("a runtime");
    let (pool, server) = first.block_on(async { pool(&config(2)) });
    let lease = first.block_on(pool.get_owned()).expect("a connection");
    let second = runtime().expect("a runtime");
    let waiter = second.spawn({
        let pool = pool.clone();
        async move {
            let _one = pool.get().await;
            pool.get().await.map(drop)
        }
    });
    while pool.stats().waiting == 0 {
        std::thread::yield_now();
    }
    drop(first);
    let waited = second.block_on(waiter).expect("no panic");
    assert!(matches!(waited, Err(Error::Closed)), "{waited:?}");
    drop(lease);
    assert!(pool.is_closed());
    second.block_on(pool.close());
    assert_eq!(server.open(), 0);
}
