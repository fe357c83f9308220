//! At most N: probes under concurrency, and what many threads may do at once.

use crate::support::{advance, breaker, config, half_open, take_all};
use mcp_breaker::{Config, HalfOpenConfig, OpenConfig, State};
use std::{sync::Barrier, time::Duration};

#[tokio::test(start_paused = true)]
async fn three_of_twenty_callers_are_admitted() {
    let breaker = half_open().await;
    let permits: Vec<_> = (0..20).map(|_| breaker.try_acquire()).collect();
    assert_eq!(permits.iter().filter(|permit| permit.is_ok()).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn probes_that_succeeded_use_up_the_probes_of_a_life() {
    let half_open = HalfOpenConfig {
        probes_max: 3,
        successes_to_close: 3,
        ..config().half_open
    };
    let breaker = breaker(&Config {
        half_open,
        ..config()
    });
    crate::support::trip(&breaker);
    advance(crate::support::DELAY).await;
    breaker.try_acquire().expect("a probe").success();
    assert_eq!(take_all(&breaker).len(), 2);
}

/// Real threads end an open life at the same moment, again and again.
#[test]
fn threads_that_meet_at_half_open_never_exceed_the_probes() {
    const THREADS: usize = 4;
    let open = OpenConfig {
        delay: Duration::from_millis(1),
        jitter: 0.0,
        ..OpenConfig::default()
    };
    let half_open = HalfOpenConfig::default();
    let breaker = breaker(&Config {
        open,
        half_open,
        ..config()
    });
    for _ in 0..50 {
        breaker.force_close();
        crate::support::trip(&breaker);
        let barrier = Barrier::new(THREADS);
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        while breaker.state() == State::Open && !breaker.is_ready() {
                            std::hint::spin_loop();
                        }
                        let permits = take_all(&breaker);
                        barrier.wait();
                        permits.len()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        assert_eq!(admitted, 3);
    }
}

/// Mixed results from many threads: no call is lost, whatever the state did.
#[test]
fn every_call_is_counted_once() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 20_000;
    let never = Config {
        consecutive_failures: None,
        failure_rate: Some(1.0),
        ..config()
    };
    let breaker = breaker(&never);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let breaker = breaker.clone();
            scope.spawn(move || {
                for call in 0..CALLS {
                    let permit = breaker.try_acquire().expect("a rate of 1 is not reached");
                    match (call + thread) % 4 {
                        0 => permit.failure(),
                        1 => drop(permit),
                        _ => permit.success(),
                    }
                }
            });
        }
    });
    let stats = breaker.stats();
    let quarter = THREADS * CALLS / 4;
    assert_eq!(
        (
            stats.successes,
            stats.failures,
            stats.cancelled,
            stats.stale
        ),
        (2 * quarter, quarter, quarter, 0)
    );
    assert_eq!(stats.state, State::Closed);
}

/// Threads that cross the threshold together: every result is a failure or
/// stale, never both, and one of them opens the breaker.
#[test]
fn a_failure_that_loses_the_race_to_open_is_not_stale_as_well() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 500;
    let breaker = breaker(&Config {
        consecutive_failures: Some(1),
        ..config()
    });
    for _ in 0..ROUNDS {
        breaker.force_close();
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let permit = breaker.try_acquire().expect("closed");
                    barrier.wait();
                    permit.failure();
                });
            }
        });
    }
    let stats = breaker.stats();
    assert_eq!(stats.failures + stats.stale, THREADS * ROUNDS);
    assert_eq!(stats.opened, ROUNDS);
}
