//! How many calls may be in flight.

use crate::support::{advance, breaker, config};
use mcp_breaker::{Breaker, Config, GradientConfig, LimitConfig, Rejected, Verdict};
use std::{sync::Barrier, time::Duration};

const MS: Duration = Duration::from_millis(1);

fn fixed(max_in_flight: u32) -> Breaker {
    breaker(&Config {
        limit: LimitConfig::Fixed { max_in_flight },
        ..config()
    })
}

#[test]
fn a_fixed_limit_is_exact() {
    let breaker = fixed(2);
    let first = breaker.try_acquire().expect("a place");
    let _second = breaker.try_acquire().expect("a place");
    let refused = breaker.try_acquire().map(drop);
    assert_eq!(
        refused,
        Err(Rejected::Limited {
            in_flight: 2,
            limit: 2
        })
    );
    first.success();
    drop(breaker.try_acquire().expect("a place"));
    let stats = breaker.stats();
    assert_eq!(
        (stats.in_flight, stats.limit, stats.limited),
        (1, Some(2), 1)
    );
}

#[test]
fn every_way_to_end_a_call_gives_its_place_back() {
    let breaker = fixed(1);
    for verdict in [
        Verdict::SUCCESS,
        Verdict::FAILURE,
        Verdict::OVERLOAD,
        Verdict::IGNORE,
    ] {
        breaker.try_acquire().expect("a place").settle(verdict);
    }
    drop(breaker.try_acquire().expect("a place"));
    breaker.disable();
    breaker.try_acquire().expect("a place").success();
    let late = breaker.try_acquire().expect("a place");
    breaker.force_close();
    late.failure();
    assert_eq!(breaker.stats().in_flight, 0);
}

#[test]
fn threads_never_exceed_the_limit() {
    const THREADS: usize = 4;
    let breaker = fixed(2);
    let inside = std::sync::atomic::AtomicU32::new(0);
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..20_000 {
                    let Ok(permit) = breaker.try_acquire() else {
                        continue;
                    };
                    let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert!(others < 2);
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    permit.success();
                }
            });
        }
    });
    assert_eq!(breaker.stats().in_flight, 0);
}

/// Rounds in which the callers take every place and hold it for `took`.
async fn rounds(breaker: &Breaker, rounds: u32, took: Duration) -> u32 {
    rounds_of(breaker, rounds, took, Verdict::SUCCESS).await
}

async fn rounds_of(breaker: &Breaker, rounds: u32, took: Duration, verdict: Verdict) -> u32 {
    for _ in 0..rounds {
        let limit = breaker.stats().limit.expect("a limit");
        let permits: Vec<_> = (0..limit)
            .map(|_| breaker.try_acquire().expect("a place"))
            .collect();
        assert!(breaker.try_acquire().is_err(), "the limit is full");
        advance(took).await;
        permits
            .into_iter()
            .for_each(|permit| permit.settle(verdict));
    }
    breaker.stats().limit.expect("a limit")
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_follows_the_latency() {
    let gradient = GradientConfig {
        samples: 4,
        ..GradientConfig::default()
    };
    let breaker = breaker(&Config {
        limit: LimitConfig::Gradient(gradient),
        ..config()
    });
    let grown = rounds(&breaker, 10, 10 * MS).await;
    assert!(grown > 40, "{grown}");
    let fallen = rounds(&breaker, 10, 50 * MS).await;
    assert!(fallen * 2 < grown, "{grown} to {fallen}");
    let recovered = rounds(&breaker, 20, 10 * MS).await;
    assert!(recovered > fallen * 2, "{fallen} to {recovered}");
}

/// A dependency that fails or refuses at once is not one that works fast: with
/// the durations of errors in the baseline, the healthy calls afterwards look
/// slow, and the limit stays near its least for thousands of rounds.
#[tokio::test(start_paused = true)]
async fn fast_errors_do_not_spoil_the_baseline() {
    let breaker = breaker(&Config {
        limit: LimitConfig::Gradient(GradientConfig::default()),
        consecutive_failures: Some(1_000_000),
        failure_rate: None,
        ..config()
    });
    assert_eq!(rounds(&breaker, 100, 100 * MS).await, 200);
    rounds_of(&breaker, 5, MS, Verdict::FAILURE).await;
    assert_eq!(rounds(&breaker, 100, 100 * MS).await, 200);
    let lowered = rounds_of(&breaker, 5, MS, Verdict::OVERLOAD).await;
    assert!(lowered < 50, "{lowered}");
    assert_eq!(rounds(&breaker, 100, 100 * MS).await, 200);
}

#[test]
fn overload_lowers_an_adaptive_limit() {
    let gradient = GradientConfig {
        samples: 1,
        ..GradientConfig::default()
    };
    let breaker = breaker(&Config {
        limit: LimitConfig::Gradient(gradient),
        ..config()
    });
    for _ in 0..100 {
        breaker
            .try_acquire()
            .expect("a place")
            .settle(Verdict::OVERLOAD);
    }
    assert_eq!(breaker.stats().limit, Some(gradient.min));
}
