//! When a closed breaker opens.

use crate::support::{advance, breaker, config};
use mcp_breaker::{Breaker, Cause, Config, State, Verdict, WindowConfig};
use std::time::Duration;

fn succeed(breaker: &Breaker, calls: u32) {
    (0..calls).for_each(|_| breaker.try_acquire().expect("closed").success());
}

/// Failures until it opens.
fn fail_until_open(breaker: &Breaker) -> u32 {
    let mut failures = 0;
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
        failures += 1;
        assert!(failures < 100_000, "never opens");
    }
    failures
}

fn by_rate() -> Config {
    Config {
        consecutive_failures: None,
        ..config()
    }
}

#[test]
fn the_window_slides_past_a_long_healthy_time() {
    let breaker = breaker(&by_rate());
    succeed(&breaker, 10_000);
    assert_eq!(fail_until_open(&breaker), 50);
}

#[test]
fn a_run_of_failures_opens_it_before_the_rate_does() {
    let breaker = breaker(&config());
    succeed(&breaker, 10_000);
    assert_eq!(fail_until_open(&breaker), 5);
}

#[test]
fn a_success_ends_the_run() {
    let breaker = breaker(&Config {
        failure_rate: None,
        ..config()
    });
    for _ in 0..100 {
        (0..4).for_each(|_| breaker.try_acquire().expect("closed").failure());
        succeed(&breaker, 1);
    }
    assert_eq!(fail_until_open(&breaker), 5);
}

#[test]
fn the_rate_counts_from_the_least_number_of_calls_and_not_from_a_full_window() {
    let breaker = breaker(&by_rate());
    assert_eq!(fail_until_open(&breaker), 20);
}

#[test]
fn a_success_never_opens_it() {
    let breaker = breaker(&by_rate());
    (0..19).for_each(|_| breaker.try_acquire().expect("closed").failure());
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(fail_until_open(&breaker), 1);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_although_they_succeed() {
    let slow = Config {
        slow_rate: Some(0.5),
        slow_after: Duration::from_millis(20),
        ..config()
    };
    let breaker = breaker(&slow);
    succeed(&breaker, 10);
    for _ in 0..9 {
        let permit = breaker.try_acquire().expect("closed");
        advance(Duration::from_millis(20)).await;
        permit.success();
    }
    assert_eq!(breaker.state(), State::Closed);
    let mut events = breaker.subscribe();
    let permit = breaker.try_acquire().expect("closed");
    advance(Duration::from_millis(20)).await;
    permit.success();
    let opened = events.try_next().expect("it opened");
    assert_eq!(
        opened.cause,
        Cause::SlowRate {
            slow: 10,
            calls: 20
        }
    );
    assert_eq!(breaker.stats().slow, 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_just_fast_enough_is_not_slow() {
    let slow = Config {
        slow_rate: Some(0.5),
        slow_after: Duration::from_millis(20),
        ..config()
    };
    let breaker = breaker(&slow);
    for _ in 0..50 {
        let permit = breaker.try_acquire().expect("closed");
        advance(Duration::from_millis(19)).await;
        permit.success();
    }
    assert_eq!((breaker.stats().slow, breaker.state()), (0, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_time_window_forgets_what_is_older_than_it() {
    let window = WindowConfig::Time {
        duration: Duration::from_secs(10),
        buckets: 10,
    };
    let breaker = breaker(&Config {
        window,
        ..by_rate()
    });
    (0..19).for_each(|_| breaker.try_acquire().expect("closed").failure());
    advance(Duration::from_secs(9)).await;
    assert_eq!(breaker.stats().window.failures, 19);
    advance(Duration::from_secs(1)).await;
    assert_eq!(breaker.stats().window.calls, 0);
    assert_eq!(fail_until_open(&breaker), 20);
}

#[test]
fn overload_and_ignored_results_are_not_held_against_the_dependency() {
    let breaker = breaker(&config());
    for verdict in [Verdict::OVERLOAD, Verdict::IGNORE] {
        (0..100).for_each(|_| breaker.try_acquire().expect("closed").settle(verdict));
    }
    let stats = breaker.stats();
    assert_eq!(
        (stats.overloads, stats.ignored, stats.window.calls),
        (100, 100, 0)
    );
    assert_eq!(stats.state, State::Closed);
}
