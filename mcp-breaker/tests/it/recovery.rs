//! Open, half-open, closed again; stale results, lost probes, operators.

use crate::support::{DELAY, PROBE_TIMEOUT, advance, breaker, config, half_open, take_all, trip};
use mcp_breaker::{Breaker, CallError, Config, LimitConfig, OpenConfig, Rejected, State, Verdict};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn it_refuses_until_the_delay_has_passed_to_the_millisecond() {
    let breaker = breaker(&config());
    trip(&breaker);
    advance(DELAY - MS).await;
    let Err(rejected @ Rejected::Open { reopens }) = breaker.try_acquire() else {
        panic!("open")
    };
    assert_eq!(
        (reopens.remaining(), rejected.retry_after()),
        (MS, Some(MS))
    );
    assert!(rejected.is_retryable());
    advance(MS).await;
    assert!(breaker.try_acquire().expect("a probe").is_probe());
}

/// Outside of a runtime there is no timer: the refused caller looks itself.
#[test]
fn it_reopens_without_a_runtime() {
    let breaker = opens_for_a_millisecond();
    trip(&breaker);
    call_until_half_open(&breaker);
}

/// Real time: a delay of one millisecond, and patience for ten seconds.
fn call_until_half_open(breaker: &Breaker) {
    let start = tokio::time::Instant::now();
    while breaker.state() == State::Open {
        drop(breaker.try_acquire());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it never reopens"
        );
    }
    assert_eq!(breaker.state(), State::HalfOpen);
}

fn opens_for_a_millisecond() -> Breaker {
    breaker(&Config {
        open: OpenConfig {
            delay: MS,
            jitter: 0.0,
            ..OpenConfig::default()
        },
        ..config()
    })
}

fn current_thread() -> tokio::runtime::Builder {
    tokio::runtime::Builder::new_current_thread()
}

/// The runtime in which the breaker opened is never polled again: its timer is
/// set but will not ring.
#[test]
fn it_reopens_although_its_timers_runtime_stalls() {
    let runtime = current_thread().enable_time().build().expect("a runtime");
    let breaker = opens_for_a_millisecond();
    runtime.block_on(async { trip(&breaker) });
    call_until_half_open(&breaker);
}

/// A program that drives its runtime for one call at a time gives the timer no
/// chance. Whoever asked three times in vain is not refused more often than
/// that once the delay has passed.
#[test]
fn a_rare_caller_finds_the_end_of_the_delay_without_a_timer() {
    let runtime = current_thread().enable_time().build().expect("a runtime");
    let breaker = opens_for_a_millisecond();
    for life in 0..3 {
        runtime.block_on(async { trip(&breaker) });
        let refused = breaker.stats().rejected;
        (0..3).for_each(|_| drop(breaker.try_acquire()));
        while !breaker.is_ready() {
            std::hint::spin_loop();
        }
        (0..3).for_each(|_| drop(breaker.try_acquire()));
        assert_eq!(breaker.state(), State::HalfOpen, "life {life}");
        assert!(breaker.stats().rejected - refused <= 5);
        breaker.force_close();
    }
}

/// Without time in the runtime the timer task panics, in a task of its own.
#[test]
fn it_reopens_in_a_runtime_without_time() {
    let runtime = current_thread().build().expect("a runtime");
    let breaker = opens_for_a_millisecond();
    runtime.block_on(async {
        trip(&breaker);
        tokio::task::yield_now().await;
        call_until_half_open(&breaker);
    });
}

#[tokio::test(start_paused = true)]
async fn two_good_probes_close_it() {
    let breaker = half_open().await;
    breaker.try_acquire().expect("a probe").success();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.try_acquire().expect("a probe").success();
    assert_eq!(breaker.state(), State::Closed);
    let stats = breaker.stats();
    assert_eq!((stats.opened, stats.closed, stats.probes), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn one_bad_probe_opens_it_for_longer() {
    let breaker = half_open().await;
    for verdict in [Verdict::FAILURE, Verdict::OVERLOAD] {
        let before = breaker.stats().opened;
        breaker.try_acquire().expect("a probe").settle(verdict);
        assert_eq!(breaker.stats().opened, before + 1, "{verdict:?}");
        let wait = breaker.stats().reopens_in.expect("open");
        assert!(wait > DELAY);
        advance(wait).await;
    }
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_is_a_bad_one() {
    let slow = Config {
        slow_rate: Some(0.5),
        slow_after: 10 * MS,
        ..config()
    };
    let breaker = breaker(&slow);
    trip(&breaker);
    advance(DELAY).await;
    let probe = breaker.try_acquire().expect("a probe");
    advance(10 * MS).await;
    probe.success();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_learns_late_is_inert() {
    let breaker = breaker(&config());
    let calls: Vec<_> = (0..3)
        .map(|_| breaker.try_acquire().expect("closed"))
        .collect();
    trip(&breaker);
    advance(DELAY).await;
    breaker.try_acquire().expect("a probe").success();
    let mut late = calls.into_iter();
    late.next().expect("three").success();
    assert_eq!(
        (breaker.state(), breaker.stats().stale),
        (State::HalfOpen, 1)
    );
    breaker.try_acquire().expect("a probe").success();
    assert_eq!(breaker.state(), State::Closed);
    late.next().expect("three").failure();
    late.next().expect("three").success();
    let stats = breaker.stats();
    assert_eq!(
        (stats.stale, stats.window.calls, stats.consecutive_failures),
        (3, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_never_answers_loses_its_slot() {
    let breaker = half_open().await;
    let lost = take_all(&breaker);
    assert_eq!(lost.len(), 3);
    advance(PROBE_TIMEOUT - MS).await;
    assert!(matches!(
        breaker.try_acquire(),
        Err(Rejected::HalfOpen { probes_max: 3 })
    ));
    advance(MS).await;
    assert_eq!(take_all(&breaker).len(), 3);
    assert_eq!(breaker.stats().probes_expired, 3);
    for probe in lost {
        probe.failure();
    }
    assert_eq!(
        (breaker.state(), breaker.stats().stale),
        (State::HalfOpen, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_it_open() {
    let breaker = breaker(&config());
    let asked = Verdict::OVERLOAD.with_retry_after(Duration::from_secs(3));
    breaker.try_acquire().expect("closed").settle(asked);
    trip(&breaker);
    assert_eq!(breaker.stats().reopens_in, Some(Duration::from_secs(3)));
    advance(Duration::from_secs(3)).await;
    let asked = Verdict::FAILURE.with_retry_after(Duration::from_secs(3600));
    breaker.try_acquire().expect("a probe").settle(asked);
    assert_eq!(
        breaker.stats().reopens_in,
        Some(Duration::from_secs(10)),
        "the cap"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_over_when_its_cap_has_passed() {
    let breaker = breaker(&config());
    let year = Verdict::OVERLOAD.with_retry_after(Duration::from_secs(365 * 24 * 3600));
    breaker.try_acquire().expect("closed").settle(year);
    advance(Duration::from_secs(7)).await;
    trip(&breaker);
    assert_eq!(
        breaker.stats().reopens_in,
        Some(Duration::from_secs(3)),
        "what is left of the cap of 10 s"
    );
    breaker.force_close();
    breaker.try_acquire().expect("closed").settle(year);
    advance(Duration::from_secs(30 * 24 * 3600)).await;
    trip(&breaker);
    assert_eq!(breaker.stats().reopens_in, Some(DELAY));
}

#[tokio::test(start_paused = true)]
async fn operators_have_the_last_word() {
    let breaker = breaker(&config());
    breaker.force_open();
    advance(Duration::from_secs(3600)).await;
    let rejected = breaker.try_acquire().map(drop);
    assert_eq!(rejected, Err(Rejected::ForcedOpen));
    assert!(!Rejected::ForcedOpen.is_retryable());
    breaker.disable();
    (0..100).for_each(|_| breaker.try_acquire().expect("disabled").failure());
    assert_eq!(
        (breaker.state(), breaker.stats().failures),
        (State::Disabled, 0)
    );
    breaker.force_close();
    assert_eq!(breaker.state(), State::Closed);
    trip(&breaker);
    breaker.force_close();
    assert_eq!(
        breaker.stats().window.calls,
        0,
        "a reset empties the window"
    );
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_the_delay_and_for_a_free_slot() {
    let breaker = breaker(&config());
    breaker.ready().await;
    trip(&breaker);
    let start = tokio::time::Instant::now();
    breaker.ready().await;
    assert_eq!(start.elapsed(), DELAY);
    let probes = take_all(&breaker);
    breaker.ready().await;
    assert_eq!(
        start.elapsed(),
        DELAY + PROBE_TIMEOUT,
        "the deadline of the probes"
    );
    drop(probes);
    let mut probes = take_all(&breaker);
    let waiting = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.ready().await }
    });
    advance(MS).await;
    assert!(!waiting.is_finished());
    drop(probes.pop());
    waiting.await.expect("woken by the free slot");
    assert_eq!(start.elapsed(), DELAY + PROBE_TIMEOUT + MS);
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_the_delay_and_then_for_a_place_under_the_limit() {
    let breaker = breaker(&Config {
        limit: LimitConfig::Fixed { max_in_flight: 1 },
        ..config()
    });
    trip(&breaker);
    let start = tokio::time::Instant::now();
    advance(DELAY).await;
    let probe = breaker.try_acquire_owned().expect("a probe");
    assert!(!breaker.is_ready());
    let waiting = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.ready().await }
    });
    // Two more slots are free: it is the place alone that is missing, also
    // when the probe has lost its slot.
    advance(2 * PROBE_TIMEOUT).await;
    assert!(!waiting.is_finished());
    probe.success();
    let woken = tokio::time::timeout(MS, waiting).await;
    woken.expect("woken by the free place").expect("no panic");
    assert_eq!(start.elapsed(), DELAY + 2 * PROBE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_answers_for_a_refused_and_for_a_failed_call() {
    let breaker = breaker(&config());
    for call in 0..10 {
        let answer = breaker
            .call_or_else(
                || async { Err::<&str, _>("down") },
                |why| async move {
                    let refused = matches!(why, CallError::Rejected(Rejected::Open { .. }));
                    assert_eq!(refused, call >= 5);
                    Ok("from the other source")
                },
            )
            .await;
        assert_eq!(answer, Ok("from the other source"));
    }
    assert_eq!((breaker.stats().failures, breaker.stats().rejected), (5, 5));
}

#[tokio::test]
async fn a_refused_operation_is_not_even_made() {
    let breaker = breaker(&config());
    breaker.force_open();
    let made = std::cell::Cell::new(false);
    let result = breaker
        .call(|| {
            made.set(true);
            async { Ok::<_, ()>(()) }
        })
        .await;
    assert!(!made.get());
    assert_eq!(result, Err(CallError::Rejected(Rejected::ForcedOpen)));
}

#[tokio::test]
async fn a_classifier_decides_what_a_failure_is() {
    let breaker = breaker(&config());
    let not_found = |result: &Result<(), u16>| match result {
        Err(404) => Verdict::IGNORE,
        Err(_) => Verdict::FAILURE,
        Ok(()) => Verdict::SUCCESS,
    };
    for status in [404, 500] {
        let result = breaker
            .call_with(&not_found, || async move { Err(status) })
            .await;
        assert_eq!(result, Err(CallError::Inner(status)));
    }
    assert_eq!((breaker.stats().ignored, breaker.stats().failures), (1, 1));
}
