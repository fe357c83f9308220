//! The throttle, the retry budget, and policies stacked on each other.

use crate::support::{advance, breaker, config};
use mcp_breaker::{
    Policy, Rejected, RetryBudget, RetryConfig, Settle, Throttle, ThrottleConfig, Verdict,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn throttle() -> Throttle {
    Throttle::new(&ThrottleConfig::default()).expect("a valid configuration")
}

/// Calls of which `verdict` says how they end; how many of them were shed.
fn calls(throttle: &Throttle, calls: u32, verdict: Verdict) -> u32 {
    let mut shed = 0;
    for _ in 0..calls {
        match throttle.try_acquire() {
            Ok(permit) => permit.settle(verdict),
            Err(rejected) => {
                assert!(matches!(rejected, Rejected::Throttled { .. }));
                shed += 1;
            }
        }
    }
    shed
}

#[tokio::test(start_paused = true)]
async fn a_healthy_dependency_is_never_throttled() {
    let throttle = throttle();
    assert_eq!(calls(&throttle, 1000, Verdict::SUCCESS), 0);
    assert_eq!(
        calls(&throttle, 900, Verdict::FAILURE),
        0,
        "up to half may fail"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_dependency_is_asked_now_and_then() {
    let throttle = throttle();
    let shed = calls(&throttle, 10_000, Verdict::OVERLOAD);
    assert!((9_900..10_000).contains(&shed), "{shed}");
    let stats = throttle.stats();
    assert_eq!(
        (stats.requests, stats.accepted),
        (10_000, 0),
        "shed requests count as well"
    );
    assert!(stats.shed_probability > 0.999);
}

#[tokio::test(start_paused = true)]
async fn it_recovers_with_the_dependency() {
    let throttle = throttle();
    calls(&throttle, 1000, Verdict::FAILURE);
    let mut minutes = 0;
    while calls(&throttle, 1000, Verdict::SUCCESS) > 0 {
        advance(20 * SECOND).await;
        minutes += 1;
        assert!(minutes < 60, "never recovers");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_before_its_answer_and_is_taken_back_when_cancelled() {
    let throttle = throttle();
    let permit = throttle.try_acquire().expect("healthy");
    assert_eq!(
        (throttle.stats().requests, throttle.stats().accepted),
        (1, 0)
    );
    drop(permit);
    assert_eq!(throttle.stats().requests, 0);
}

#[test]
fn a_pair_tells_both_and_cancels_the_first_when_the_second_refuses() {
    let (throttle, breaker) = (throttle(), breaker(&config()));
    let pair = (throttle.clone(), breaker.clone());
    pair.try_enter()
        .expect("both agree")
        .settle(Verdict::SUCCESS);
    assert_eq!(
        (throttle.stats().accepted, breaker.stats().successes),
        (1, 1)
    );
    breaker.force_open();
    assert!(!pair.is_ready());
    let refused = pair.try_enter().map(drop);
    assert_eq!(refused, Err(Rejected::ForcedOpen));
    assert_eq!(throttle.stats().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_ready_when_both_are() {
    let pair = (throttle(), breaker(&config()));
    crate::support::trip(&pair.1);
    let start = tokio::time::Instant::now();
    pair.ready().await;
    assert_eq!(start.elapsed(), crate::support::DELAY);
}

fn budget(ratio: f64, min_per_second: u32) -> RetryBudget {
    let config = RetryConfig {
        ratio,
        min_per_second,
        ..RetryConfig::default()
    };
    RetryBudget::new(&config).expect("a valid configuration")
}

fn withdraw_all(budget: &RetryBudget) -> u32 {
    let granted = (0..1000).take_while(|_| budget.try_withdraw()).count();
    u32::try_from(granted).expect("at most 1000")
}

#[tokio::test(start_paused = true)]
async fn retries_are_a_share_of_the_first_tries() {
    let budget = budget(0.2, 0);
    assert!(!budget.try_withdraw());
    (0..100).for_each(|_| budget.deposit());
    assert_eq!(withdraw_all(&budget), 20);
    let stats = budget.stats();
    assert_eq!((stats.tries, stats.retries, stats.allowed), (100, 20, 20));
}

#[tokio::test(start_paused = true)]
async fn what_was_paid_in_expires() {
    let budget = budget(0.2, 0);
    (0..100).for_each(|_| budget.deposit());
    advance(9 * SECOND).await;
    assert!(budget.try_withdraw());
    advance(SECOND).await;
    assert!(!budget.try_withdraw());
}

#[tokio::test(start_paused = true)]
async fn a_rare_caller_has_the_reserve_and_gets_it_back() {
    let budget = budget(0.2, 10);
    assert_eq!(withdraw_all(&budget), 100);
    advance(5 * SECOND).await;
    assert_eq!(withdraw_all(&budget), 0);
    advance(5 * SECOND).await;
    assert_eq!(withdraw_all(&budget), 100);
}

#[test]
fn threads_never_overdraw_it() {
    let budget = budget(0.2, 0);
    (0..1000).for_each(|_| budget.deposit());
    let granted: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| withdraw_all(&budget)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    assert!(granted <= 200, "{granted}");
    assert!(
        granted + withdraw_all(&budget) == 200,
        "and all of it can be had in the end"
    );
}
