//! Looks and checks.

use crate::support::{Outcome, assert_at_rest, config, ms, pool, secs, settle};
use mcp_pool::Config;
use std::sync::atomic::Ordering;

#[tokio::test(start_paused = true)]
async fn only_what_was_idle_for_long_is_checked_at_the_checkout() {
    let (pool, server) = pool(&Config {
        check_after: ms(500),
        ..config(2)
    });
    for (idle_ms, checks) in [
        (0, 0),
        (400, 0),
        (520, 1),
        (100, 1),
        (700, 2),
        (3_600_000, 3),
    ] {
        tokio::time::sleep(ms(idle_ms)).await;
        drop(pool.get().await.expect("a connection"));
        assert_eq!(server.checks_begun(), checks, "after {idle_ms} ms");
    }
    assert_at_rest(&pool, &server);
}

/// Three stale connections are broken; the caller gets the fourth.
#[tokio::test(start_paused = true)]
async fn after_a_failed_check_the_next_one_is_taken() {
    for bad in [Outcome::Err, Outcome::Panic, Outcome::Never] {
        let (pool, server) = pool(&Config {
            check_after: ms(500),
            check_timeout: ms(100),
            ..config(4)
        });
        let mut leases = Vec::new();
        for _ in 0..4 {
            leases.push(pool.get().await.expect("a connection"));
        }
        let oldest = leases[0].id();
        for lease in leases {
            drop(lease);
            tokio::time::sleep(ms(50)).await;
        }
        tokio::time::sleep(secs(1)).await;
        server.checks([bad, bad, bad]);
        let lease = pool.get().await.expect("a connection");
        assert_eq!(lease.id(), oldest);
        assert_eq!(server.connects_begun(), 4, "none was made");
        drop(lease);
        settle().await;
        assert_eq!(pool.stats().closes.unhealthy, 3);
        assert_at_rest(&pool, &server);
    }
}

/// While a check is slow, a connection that comes back serves the caller; the
/// checked one is kept.
#[tokio::test(start_paused = true)]
async fn a_slow_check_holds_nobody_up() {
    let (pool, server) = pool(&Config {
        check_after: ms(500),
        ..config(2)
    });
    let lent = pool.get().await.expect("a connection");
    drop(pool.get().await.expect("another one"));
    tokio::time::sleep(secs(1)).await;
    server.checks([Outcome::Slow(800)]);
    let start = tokio::time::Instant::now();
    let returns = async {
        tokio::time::sleep(ms(30)).await;
        drop(lent);
    };
    let (got, ()) = tokio::join!(pool.get(), returns);
    drop(got.expect("a connection"));
    assert_eq!(start.elapsed(), ms(30));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pool.stats().idle, 2);
    assert_at_rest(&pool, &server);
}

/// Idle connections are asked at their interval, one at a time; lending goes
/// on, and the order in which they were used does not change.
#[tokio::test(start_paused = true)]
async fn the_idle_are_kept_alive_one_at_a_time() {
    let (pool, server) = pool(&Config {
        health_check_interval: Some(secs(30)),
        ..config(5)
    });
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(pool.get().await.expect("a connection"));
    }
    drop(leases);
    server.all_checks(Outcome::Slow(100));
    tokio::time::sleep(ms(30_150)).await;
    assert_eq!((server.checks_begun(), pool.stats().checking), (2, 1));
    drop(pool.try_get().expect("three are idle"));
    tokio::time::sleep(secs(1)).await;
    // The one that was lent and came back has shown itself alive.
    let checks = server.checks_begun();
    assert!((4..=5).contains(&checks), "{checks}");
    tokio::time::sleep(secs(3600)).await;
    let checks = server.checks_begun();
    assert!((5 * 115..=5 * 121).contains(&checks), "{checks} in an hour");
    assert_eq!(pool.stats().closes.total(), 0);
    assert_at_rest(&pool, &server);
}

/// In the background a broken one is found before anybody asks for it, and
/// replaced where a minimum is asked for.
#[tokio::test(start_paused = true)]
async fn a_broken_idle_connection_is_replaced_in_the_background() {
    let (pool, server) = pool(&Config {
        health_check_interval: Some(secs(1)),
        min_connections: 2,
        ..config(3)
    });
    settle().await;
    let lease = pool.get().await.expect("a connection");
    let killer = lease.killer();
    drop(lease);
    killer.store(false, Ordering::SeqCst);
    tokio::time::sleep(ms(1_100)).await;
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.closes.unhealthy), (2, 1));
    assert_eq!((server.open(), server.connects_begun()), (2, 3));
    assert_at_rest(&pool, &server);
}

/// A thousand trials: an idle connection is killed, or one that is lent; no
/// borrower sees a dead one.
#[tokio::test(start_paused = true)]
async fn no_borrower_sees_a_connection_that_was_killed() {
    let (pool, server) = pool(&config(4));
    let mut seen = 0;
    for trial in 0..1_000 {
        let (first, second) = (pool.get().await, pool.get().await);
        let (first, second) = (first.expect("a connection"), second.expect("a connection"));
        let killer = first.killer();
        if trial % 2 == 0 {
            first.kill();
            drop(first);
        } else {
            drop(first);
            killer.store(false, Ordering::SeqCst);
        }
        drop(second);
        let next = pool.get().await.expect("a connection");
        seen += usize::from(!next.killer().load(Ordering::SeqCst));
        drop(next);
    }
    // The last one is still at the bottom.
    drop((pool.get().await, pool.get().await));
    settle().await;
    assert_eq!((seen, pool.stats().closes.broken), (0, 1_000));
    assert_at_rest(&pool, &server);
}

/// A manager whose look panics once it is told to.
#[derive(Debug)]
struct Jumpy(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl mcp_pool::Manager for Jumpy {
    type Connection = ();
    type Error = std::convert::Infallible;

    async fn connect(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn is_open(&self, (): &mut ()) -> bool {
        assert!(!self.0.load(Ordering::SeqCst), "a look that panics");
        true
    }
}

/// At the checkout as at the return: the place of the connection is used again.
#[tokio::test(start_paused = true)]
async fn a_look_that_panics_costs_no_place() {
    let jumps = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let manager = Jumpy(std::sync::Arc::clone(&jumps));
    let pool = mcp_pool::Pool::new(&config(1), manager).expect("a valid configuration");
    for at_return in [true, false] {
        let lease = pool.get_owned().await.expect("a connection");
        let mut held = Some(lease);
        if !at_return {
            held = None;
        }
        jumps.store(true, Ordering::SeqCst);
        let inside = pool.clone();
        let task = tokio::spawn(async move {
            match held {
                Some(lease) => drop(lease),
                None => drop(inside.get().await),
            }
        });
        assert!(task.await.expect_err("it panics").is_panic());
        jumps.store(false, Ordering::SeqCst);
        settle().await;
        assert_eq!(pool.stats().in_use, 0);
        drop(pool.get_timeout(secs(1)).await.expect("the place is free"));
    }
    assert_eq!(pool.stats().closes.broken, 2);
}

/// The pool is paused, callers queue, and all that is idle dies: nobody is given
/// a dead one, and what is alive is used before another one is made.
#[tokio::test(start_paused = true)]
async fn whoever_waited_sees_no_dead_connection_either() {
    let (pool, server) = pool(&config(4));
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.get().await.expect("a connection"));
    }
    let killers: Vec<_> = leases.iter().map(|lease| lease.killer()).collect();
    drop(leases);
    pool.pause();
    let waiters: tokio::task::JoinSet<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            async move { pool.get_owned().await.expect("a connection") }
        })
        .collect();
    settle().await;
    for killer in &killers[..3] {
        killer.store(false, Ordering::SeqCst);
    }
    pool.resume();
    let leases = waiters.join_all().await;
    assert!(
        leases
            .iter()
            .all(|lease| lease.killer().load(Ordering::SeqCst))
    );
    drop(leases);
    settle().await;
    assert_eq!(
        (server.connects_begun(), pool.stats().closes.broken),
        (5, 3)
    );
    assert_at_rest(&pool, &server);
}
