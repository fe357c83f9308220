//! Configurations with round figures, and breakers brought into a state.

use mcp_breaker::{Breaker, Config, HalfOpenConfig, OpenConfig, Permit, State};
use std::time::Duration;

pub(crate) const DELAY: Duration = Duration::from_millis(100);
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(50);

/// Opens at 5 failures in a row for exactly 100 ms, then 200, 400; 3 probes,
/// of which 2 must succeed within 50 ms.
pub(crate) fn config() -> Config {
    Config {
        open: OpenConfig {
            delay: DELAY,
            factor: 2.0,
            delay_max: Duration::from_millis(400),
            jitter: 0.0,
            retry_after_max: Duration::from_secs(10),
        },
        half_open: HalfOpenConfig {
            probe_timeout: PROBE_TIMEOUT,
            ..HalfOpenConfig::default()
        },
        ..Config::default()
    }
}

pub(crate) fn breaker(config: &Config) -> Breaker {
    Breaker::new(config).expect("a valid configuration")
}

pub(crate) fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        breaker.try_acquire().expect("closed").failure();
    }
    assert_eq!(breaker.state(), State::Open);
}

/// Opened and past its delay.
pub(crate) async fn half_open() -> Breaker {
    let breaker = breaker(&config());
    trip(&breaker);
    advance(DELAY).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker
}

/// Moves the paused clock, and lets tasks that became due run.
pub(crate) async fn advance(by: Duration) {
    tokio::time::advance(by).await;
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

/// Takes permits until none is left, at most 20.
pub(crate) fn take_all(breaker: &Breaker) -> Vec<Permit<Breaker>> {
    (0..20)
        .map_while(|_| breaker.try_acquire_owned().ok())
        .collect()
}
