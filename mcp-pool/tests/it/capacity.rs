//! How many connections there are, and what resize, retain, pause and detach
//! do about it.

use crate::support::{Fake, Outcome, assert_at_rest, config, ms, pool, settle};
use mcp_pool::{Config, Lease, Pool};
use tokio::task::JoinSet;

async fn leases(pool: &Pool<Fake>, count: usize) -> Vec<Lease<'_, Fake>> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(pool.get().await.expect("a connection"));
    }
    leases
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_opens_no_more_than_the_limit() {
    for (max, connecting, expect_ms) in [(8, 8, 5), (8, 2, 20), (8, 100, 5)] {
        let (pool, server) = pool(&Config {
            max_connecting: connecting,
            ..config(max)
        });
        server.all_connects(Outcome::Slow(5));
        let mut tasks = JoinSet::new();
        let start = tokio::time::Instant::now();
        for _ in 0..64 {
            let pool = pool.clone();
            tasks.spawn(async move {
                let lease = pool.get().await.expect("a connection");
                tokio::time::sleep(ms(100)).await;
                drop(lease);
            });
        }
        tokio::time::sleep(ms(expect_ms)).await;
        settle().await;
        assert_eq!(pool.stats().in_use, 8, "after {:?}", start.elapsed());
        tasks.join_all().await;
        assert_eq!((server.most(), server.connects_begun()), (8, 8));
        assert_at_rest(&pool, &server);
    }
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_made_at_the_start_and_made_again() {
    let (pool, server) = pool(&Config {
        min_connections: 3,
        ..config(5)
    });
    settle().await;
    assert_eq!((pool.stats().idle, server.open()), (3, 3));
    let mut lost = leases(&pool, 2).await;
    lost.iter_mut().for_each(Lease::retire);
    drop(lost);
    settle().await;
    assert_eq!((pool.stats().idle, server.open()), (3, 3));
    assert_eq!(server.connects_begun(), 5);
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn more_idle_than_may_be_closes_the_least_recently_used() {
    let (pool, server) = pool(&Config {
        max_idle: Some(2),
        ..config(5)
    });
    let all = leases(&pool, 4).await;
    let ids: Vec<_> = all.iter().map(Lease::id).collect();
    drop(all);
    settle().await;
    let kept: Vec<_> = leases(&pool, 2).await.iter().map(Lease::id).collect();
    assert_eq!(kept, [ids[3], ids[2]]);
    assert_eq!(pool.stats().closes.surplus, 2);
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn a_smaller_pool_closes_idle_ones_first_and_lent_ones_when_they_are_back() {
    let (pool, server) = pool(&config(6));
    let mut all = leases(&pool, 6).await;
    all.drain(..2);
    pool.resize(3).expect("a size");
    settle().await;
    assert_eq!((server.open(), pool.stats().idle), (4, 0));
    assert!(pool.try_get().is_none());
    let waits = pool.get_timeout(ms(10)).await;
    assert!(waits.is_err(), "four are lent, three may be");
    drop(all);
    settle().await;
    assert_eq!(server.open(), 3);
    pool.resize(8).expect("a size");
    assert_eq!(leases(&pool, 8).await.len(), 8);
    assert!(pool.resize(0).is_err() && pool.resize(1 << 17).is_err());
    settle().await;
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn a_larger_pool_serves_those_that_wait() {
    let (pool, server) = pool(&config(1));
    let lease = pool.get().await.expect("a connection");
    let waits = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_owned().await.map(|lease| lease.id()) }
    });
    settle().await;
    assert!(!waits.is_finished());
    pool.resize(2).expect("a size");
    assert!(waits.await.expect("no panic").is_ok());
    drop(lease);
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn retain_keeps_what_it_is_told_to() {
    let (pool, server) = pool(&config(4));
    drop(leases(&pool, 4).await);
    pool.retain(|conn| conn.number.is_multiple_of(2));
    settle().await;
    assert_eq!((pool.stats().idle, pool.stats().closes.dismissed), (2, 2));
    assert!(
        pool.get()
            .await
            .expect("a connection")
            .number
            .is_multiple_of(2)
    );
    assert_at_rest(&pool, &server);
}

/// What it had not looked at yet is closed: nobody knows.
#[tokio::test(start_paused = true)]
async fn a_panic_in_retain_loses_no_place() {
    let (pool, server) = pool(&config(4));
    drop(leases(&pool, 4).await);
    let retain = std::panic::AssertUnwindSafe(|| pool.retain(|_| panic!("as meant")));
    assert!(std::panic::catch_unwind(retain).is_err());
    settle().await;
    assert_eq!((pool.stats().idle, server.open()), (0, 0));
    assert_eq!(leases(&pool, 4).await.len(), 4);
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn a_paused_pool_lends_nothing_and_loses_nobody() {
    let (pool, server) = pool(&config(2));
    let lease = pool.get().await.expect("a connection");
    pool.pause();
    assert!(pool.get_timeout(ms(10)).await.is_err());
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { drop(pool.get().await.expect("a connection")) })
        })
        .collect();
    settle().await;
    drop(lease);
    settle().await;
    assert_eq!((pool.stats().idle, pool.stats().waiting), (1, 3));
    assert!(pool.try_get().is_none());
    pool.resume();
    for wait in waits {
        wait.await.expect("served");
    }
    assert_at_rest(&pool, &server);
}

#[tokio::test(start_paused = true)]
async fn a_detached_connection_is_no_longer_counted() {
    let (pool, server) = pool(&config(1));
    let lease = pool.get().await.expect("a connection");
    let waits = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get().await.expect("a connection")) }
    });
    settle().await;
    let conn = lease.detach();
    waits.await.expect("its place was free");
    assert_eq!(
        (server.open(), pool.stats().idle, pool.stats().detached),
        (2, 1, 1)
    );
    drop(conn);
    assert_eq!((server.open(), pool.stats().idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_owned_lease_outlives_the_handles() {
    let (pool, server) = pool(&config(1));
    let lease = pool.get_owned().await.expect("a connection");
    drop(pool);
    assert_eq!(server.open(), 1);
    drop(lease);
    settle().await;
    assert_eq!(server.open(), 0, "the last one turns off the light");
    assert_eq!(server.closed.load(std::sync::atomic::Ordering::SeqCst), 1);
}

/// What `resize` took is made again when there is room for it.
#[tokio::test(start_paused = true)]
async fn the_minimum_outlives_a_smaller_maximum() {
    let (pool, server) = pool(&Config {
        min_connections: 3,
        ..config(5)
    });
    settle().await;
    pool.resize(1).expect("it fits");
    settle().await;
    assert_eq!((pool.stats().idle, server.open()), (1, 1));
    pool.resize(5).expect("it fits");
    settle().await;
    assert_eq!((pool.stats().idle, server.open()), (3, 3));
    assert_at_rest(&pool, &server);
}
