//! Who gets which connection, and when.

use crate::support::{Outcome, assert_at_rest, config, ms, pool, settle};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::task::JoinSet;

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_in_which_they_came() {
    let (pool, server) = pool(&config(1));
    let lease = pool.get().await.expect("a connection");
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            let _lease = pool.get().await.expect("a connection");
            order.lock().expect("no panic").push(number);
        });
        settle().await;
    }
    drop(lease);
    tasks.join_all().await;
    assert!(order.lock().expect("no panic").is_sorted());
    assert_at_rest(&pool, &server);
}

/// A task that returns its connection and asks again at once is behind those
/// that waited.
#[tokio::test]
async fn nobody_takes_back_what_others_wait_for() {
    for tasks in [2, 16, 64] {
        let (pool, _) = pool(&config(8));
        let counts: Arc<Vec<AtomicUsize>> =
            Arc::new((0..tasks).map(|_| AtomicUsize::new(0)).collect());
        let mut set = JoinSet::new();
        for task in 0..tasks {
            let (pool, counts) = (pool.clone(), Arc::clone(&counts));
            set.spawn(async move {
                let total = || {
                    counts
                        .iter()
                        .map(|count| count.load(Ordering::Relaxed))
                        .sum::<usize>()
                };
                while total() < 200 * tasks {
                    let lease = pool.get().await.expect("a connection");
                    tokio::task::yield_now().await;
                    counts[task].fetch_add(1, Ordering::Relaxed);
                    drop(lease);
                }
            });
        }
        set.join_all().await;
        let counts: Vec<_> = counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let (most, fewest) = (counts.iter().max(), counts.iter().min());
        let ratio = *most.expect("some") as f64 / *fewest.expect("some") as f64;
        assert!(ratio <= 1.05, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_most_recently_used_is_lent_first() {
    let (pool, _) = pool(&config(3));
    let first = pool.get().await.expect("a connection");
    let second = pool.get().await.expect("a connection");
    let (first_id, second_id) = (first.id(), second.id());
    drop(second);
    drop(first);
    assert_eq!(pool.get().await.expect("a connection").id(), first_id);
    let first = pool.get().await.expect("a connection");
    assert_eq!(pool.get().await.expect("a connection").id(), second_id);
    assert_eq!(first.reuses(), 2);
}

/// The connect that was begun for a waiter is slow; a connection that comes
/// back serves it. The other way round, the new connection does.
#[tokio::test(start_paused = true)]
async fn a_waiter_takes_whichever_is_first() {
    for (connect_ms, return_ms, expect_ms, expect_number) in
        [(1_000, 10, 10, 1), (10, 1_000, 10, 2)]
    {
        let (pool, server) = pool(&config(2));
        let lease = pool.get().await.expect("a connection");
        server.connects([Outcome::Slow(connect_ms)]);
        let returns = async move {
            tokio::time::sleep(ms(return_ms)).await;
            drop(lease);
        };
        let start = tokio::time::Instant::now();
        let gets = async {
            let lease = pool.get().await.expect("a connection");
            (start.elapsed(), lease.number)
        };
        let ((), (took, number)) = tokio::join!(returns, gets);
        assert_eq!((took, number), (ms(expect_ms), expect_number));
        tokio::time::sleep(ms(2_000)).await;
        assert_eq!(pool.stats().idle, 2, "the other one is kept");
        assert_at_rest(&pool, &server);
    }
}
