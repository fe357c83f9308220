//! The figures that are counts and not times.

use crate::{by_rate, layers::runtime};
use benches::rivals::figure;
use mcp_breaker::{Breaker, Config, HalfOpenConfig, OpenConfig, State};
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(20);

pub(crate) fn print() {
    println!("\nbehaviour");
    figure(
        "mcp-breaker: failures until it opens, after 10,000 successes",
        failures_to_open(),
        "50",
    );
    let (admitted, state, stale) = half_open();
    figure(
        "mcp-breaker: admitted of 20 callers, 3 probes",
        admitted,
        "3",
    );
    figure(
        "mcp-breaker: state after a late success while half-open",
        state,
        "half_open",
    );
    figure("mcp-breaker: late results counted as stale", stale, "1");
    figure(
        "mcp-breaker: probes admitted after 3 were dropped",
        after_dropped_probes(),
        "3",
    );
    figure(
        "mcp-breaker: probes admitted after 3 never answered",
        after_lost_probes(),
        "3",
    );
    crate::peers::print_behaviour();
}

fn failures_to_open() -> u32 {
    let breaker = crate::breaker(&by_rate());
    for _ in 0..10_000 {
        breaker.try_acquire().expect("closed").success();
    }
    let mut failures = 0;
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
        failures += 1;
    }
    failures
}

fn quick() -> Config {
    Config {
        open: OpenConfig {
            delay: DELAY,
            jitter: 0.0,
            ..OpenConfig::default()
        },
        half_open: HalfOpenConfig {
            probe_timeout: DELAY,
            ..HalfOpenConfig::default()
        },
        ..Config::default()
    }
}

/// Opened, and waited for until it is half-open.
fn half_open_breaker() -> Breaker {
    let breaker = crate::breaker(&quick());
    runtime().block_on(async {
        for _ in 0..5 {
            breaker.try_acquire().expect("closed").failure();
        }
        breaker.ready().await;
    });
    breaker
}

fn half_open() -> (usize, State, u64) {
    let breaker = crate::breaker(&quick());
    let late = breaker.try_acquire().expect("closed");
    runtime().block_on(async {
        for _ in 0..5 {
            breaker.try_acquire().expect("closed").failure();
        }
        breaker.ready().await;
    });
    let probes: Vec<_> = (0..20).filter_map(|_| breaker.try_acquire().ok()).collect();
    late.success();
    (probes.len(), breaker.state(), breaker.stats().stale)
}

fn admitted(breaker: &Breaker) -> usize {
    (0..20)
        .map(|_| breaker.try_acquire_owned())
        .filter_map(Result::ok)
        .collect::<Vec<_>>()
        .len()
}

fn after_dropped_probes() -> usize {
    let breaker = half_open_breaker();
    // Each count drops its probes on return.
    admitted(&breaker);
    admitted(&breaker)
}

fn after_lost_probes() -> usize {
    let breaker = half_open_breaker();
    let _never_answer: Vec<_> = (0..3).filter_map(|_| breaker.try_acquire().ok()).collect();
    runtime().block_on(async {
        breaker.ready().await;
        // The deadlines of all three lie within a moment of each other.
        tokio::time::sleep(DELAY).await;
    });
    admitted(&breaker)
}
