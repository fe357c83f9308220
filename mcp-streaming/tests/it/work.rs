//! The bound on work done at once.

use crate::support::{ms, secs, settle};
use mcp_streaming::{PoolConfig, PoolError, ResourcePool};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::time::{sleep, timeout};

fn pool(permits: usize, queue_len_max: usize) -> ResourcePool {
    let config = PoolConfig {
        permits,
        queue_len_max,
        wait_max: secs(1),
    };
    ResourcePool::new(&config).expect("a valid configuration")
}

#[tokio::test(start_paused = true)]
async fn test_resource_pool_limits() {
    let pool = pool(3, 5);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (pool, running, most) = (pool.clone(), Arc::clone(&running), Arc::clone(&most));
        tasks.spawn(async move {
            let work = async {
                let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                sleep(ms(100)).await;
                running.fetch_sub(1, Ordering::Relaxed);
            };
            pool.run(work).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    let done = results.iter().filter(|result| result.is_ok()).count();
    let refused = Err(PoolError::Exhausted {
        permits: 3,
        waiting: 5,
    });
    let refused = results.iter().filter(|result| **result == refused).count();
    assert_eq!((done, refused), (8, 12));
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
    assert_eq!((stats.granted, stats.refused, stats.timed_out), (8, 12, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_an_end() {
    let pool = pool(1, 5);
    let held = pool.acquire().await.expect("free");
    let error = pool.acquire().await.map(drop).expect_err("none is free");
    assert_eq!(
        error,
        PoolError::TimedOut {
            waited: secs(1),
            permits: 1
        }
    );
    assert!(error.is_retryable());
    assert_eq!(pool.stats().timed_out, 1);
    drop(held);
    drop(pool.acquire().await.expect("free again"));
}

/// At the wait and at the work, in any place of the line: the permit goes on.
#[tokio::test(start_paused = true)]
async fn a_worker_may_go_away_at_every_wait() {
    let pool = pool(1, 5);
    let held = pool.acquire().await.expect("free");
    assert!(timeout(ms(1), pool.acquire()).await.is_err());
    let next = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(async {}).await })
    };
    settle().await;
    assert_eq!(pool.stats().waiting, 1);
    drop(held);
    assert_eq!(next.await.expect("no panic"), Ok(()));
    assert!(timeout(ms(1), pool.run(sleep(secs(5)))).await.is_err());
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
    let panicked = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(async { panic!("at work") }).await })
    };
    assert!(panicked.await.is_err());
    assert_eq!(pool.stats().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_tells_who_waits() {
    let pool = pool(1, 5);
    let held = pool.acquire().await.expect("free");
    let waiting = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire().await.map(drop) })
    };
    settle().await;
    pool.close();
    assert_eq!(waiting.await.expect("no panic"), Err(PoolError::Closed));
    assert_eq!(pool.try_acquire().map(drop), Err(PoolError::Closed));
    drop(held);
}

#[test]
fn nonsense_is_named() {
    let check = |change: fn(&mut PoolConfig), field| {
        let mut config = PoolConfig::default();
        change(&mut config);
        let named = ResourcePool::new(&config).err().map(|error| error.field);
        assert_eq!(named, field);
    };
    check(|_| {}, None);
    check(|c| c.permits = 0, Some("permits"));
    check(|c| c.permits = usize::MAX, Some("permits"));
    check(|c| c.queue_len_max = usize::MAX, Some("queue_len_max"));
    check(|c| c.wait_max = ms(0), Some("wait_max"));
}
