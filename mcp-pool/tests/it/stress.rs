//! Real threads and a real clock, for seconds; for longer by
//! `MCP_POOL_STRESS_SECONDS` (1800 is the long form).

use crate::support::{Fake, Outcome, Server, config, ms};
use mcp_pool::{Config, Pool};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

fn lasts() -> Duration {
    let seconds = std::env::var("MCP_POOL_STRESS_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// 64 borrowers with and without patience, connects and checks that fail, hang
/// and panic, connections that are killed, rounds of checks, resizes, pauses:
/// the limit holds at every moment, and in the end everything is in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_stays_whole_under_everything_at_once() {
    let config = Config {
        check_after: ms(1),
        check_timeout: ms(5),
        connect_timeout: ms(10),
        connect_backoff: ms(1),
        connect_backoff_max: ms(5),
        health_check_interval: Some(ms(10)),
        max_idle_time: Some(ms(50)),
        max_lifetime: Some(ms(100)),
        max_idle: Some(12),
        min_connections: 2,
        lent_warn: Some(ms(50)),
        ..config(16)
    };
    let (pool, server) = crate::support::pool(&config);
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        tasks.spawn(borrow(pool.clone(), Arc::clone(&over), number));
    }
    tasks.spawn(trouble(
        pool.clone(),
        Arc::clone(&server),
        Arc::clone(&over),
    ));
    tokio::time::sleep(lasts()).await;
    over.store(true, Ordering::Relaxed);
    let served: u64 = tasks.join_all().await.into_iter().sum();
    server.heal();
    pool.resume();
    assert!(server.most() <= 16, "{}", server.most());
    let mut leases = Vec::new();
    pool.resize(16).expect("a size");
    for _ in 0..16 {
        leases.push(pool.get().await.expect("a connection"));
    }
    drop(leases);
    pool.close().await;
    let stats = pool.stats();
    assert_eq!(
        (stats.in_use, stats.waiting, server.open()),
        (0, 0, 0),
        "{stats:?}"
    );
    assert_eq!(stats.opened, stats.closes.total(), "{stats:?}");
    assert!(served > 1_000, "{served} {stats:?}");
}

async fn borrow(pool: Pool<Fake>, over: Arc<AtomicBool>, number: u64) -> u64 {
    let (mut served, mut dice) = (0, number);
    while !over.load(Ordering::Relaxed) {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let roll = dice >> 33;
        let patience = Duration::from_micros(roll % 3_000);
        let Ok(Ok(mut lease)) = tokio::time::timeout(patience, pool.get()).await else {
            continue;
        };
        served += 1;
        match roll % 50 {
            0 => lease.kill(),
            1 => lease.retire(),
            2..10 => tokio::time::sleep(ms(1)).await,
            _ => tokio::task::yield_now().await,
        }
    }
    served
}

async fn trouble(pool: Pool<Fake>, server: Arc<Server>, over: Arc<AtomicBool>) -> u64 {
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let phase = start.elapsed().as_millis() / 50 % 6;
        server.heal();
        match phase {
            0 => server.all_connects(Outcome::Err),
            1 => server.all_checks(Outcome::Never),
            2 => server.connects([Outcome::Panic, Outcome::Never, Outcome::Slow(3)]),
            3 => pool.resize(8).expect("a size"),
            4 => pool.pause(),
            _ => drop(tokio::time::timeout(ms(20), pool.health_check()).await),
        }
        tokio::time::sleep(ms(20)).await;
        pool.resume();
        pool.resize(16).expect("a size");
        pool.retain(|conn| !conn.number.is_multiple_of(97));
    }
    0
}
