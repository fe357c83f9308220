//! Futures and permits that go away: dropped at every await point, or by a
//! panic. Afterwards the slots are whole.

use crate::support::{breaker, config, half_open, take_all};
use mcp_breaker::{Breaker, Config, LimitConfig, Permit, State, Verdict};
use std::{
    future::{Ready, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn limited() -> Config {
    Config {
        limit: LimitConfig::Fixed { max_in_flight: 1 },
        ..config()
    }
}

#[test]
fn a_call_dropped_before_its_first_poll_takes_nothing() {
    let breaker = breaker(&limited());
    drop(breaker.call(pending::<Result<(), ()>>));
    assert_eq!(
        (breaker.stats().in_flight, breaker.stats().cancelled),
        (0, 0)
    );
}

#[test]
fn a_call_dropped_inside_the_operation_returns_the_permit() {
    let breaker = breaker(&limited());
    {
        let mut call = pin!(breaker.call(pending::<Result<(), ()>>));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(breaker.stats().in_flight, 1);
    }
    let stats = breaker.stats();
    assert_eq!(
        (stats.in_flight, stats.cancelled, stats.window.calls),
        (0, 1, 0)
    );
}

#[test]
fn a_call_dropped_inside_the_fallback_leaves_nothing_behind() {
    let breaker = breaker(&limited());
    {
        let mut call = pin!(breaker.call_or_else(
            || async { Err::<(), _>("down") },
            |_| pending::<Result<(), &str>>()
        ));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    let stats = breaker.stats();
    assert_eq!(
        (stats.in_flight, stats.cancelled, stats.failures),
        (0, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_slot_back() {
    let breaker = half_open().await;
    for _ in 0..10 {
        assert_eq!(take_all(&breaker).len(), 3);
    }
    assert_eq!(
        (breaker.state(), breaker.stats().cancelled),
        (State::HalfOpen, 30)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probing_call_that_is_dropped_gives_its_slot_back() {
    let breaker = half_open().await;
    for _ in 0..10 {
        let mut call = Box::pin(breaker.call(pending::<Result<(), ()>>));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    assert_eq!(take_all(&breaker).len(), 3);
}

/// The limit refuses after the state has given out a probe.
#[tokio::test(start_paused = true)]
async fn a_probe_that_the_limit_refuses_gives_its_slot_back() {
    let breaker = breaker(&limited());
    crate::support::trip(&breaker);
    crate::support::advance(crate::support::DELAY).await;
    let probe = breaker.try_acquire().expect("a probe");
    (0..10).for_each(|_| assert!(breaker.try_acquire().is_err()));
    drop(probe);
    breaker.try_acquire().expect("a probe").success();
    breaker.try_acquire().expect("a probe").success();
    assert_eq!(
        (breaker.state(), breaker.stats().limited),
        (State::Closed, 10)
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_readiness_can_be_dropped() {
    let breaker = half_open().await;
    let _probes = take_all(&breaker);
    {
        let mut ready = pin!(breaker.ready());
        assert!(poll_once(ready.as_mut()).is_pending());
    }
    breaker.force_close();
    breaker.ready().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_and_releases_the_permit() {
    let breaker = breaker(&limited());
    for failures in 1..=5 {
        let task = tokio::spawn({
            let breaker = breaker.clone();
            async move {
                breaker
                    .call(|| async { panic!("on purpose") as Result<(), ()> })
                    .await
            }
        });
        assert!(task.await.expect_err("it panicked").is_panic());
        let stats = breaker.stats();
        assert_eq!(
            (stats.failures, stats.in_flight, stats.cancelled),
            (failures, 0, 0)
        );
    }
    assert_eq!(breaker.state(), State::Open);
}

/// A handler that waits for several calls panics by a mistake of its own: the
/// dependency has done nothing wrong.
#[tokio::test]
async fn a_panic_of_the_caller_is_not_the_dependencys() {
    let breaker = breaker(&config());
    let handler = tokio::spawn({
        let breaker = breaker.clone();
        async move {
            let call = || Box::pin(breaker.call(pending::<Result<(), ()>>));
            let mut calls: Vec<_> = (0..5).map(|_| call()).collect();
            for call in &mut calls {
                assert!(poll_once(call.as_mut()).is_pending());
            }
            panic!("on purpose");
        }
    });
    assert!(handler.await.expect_err("it panicked").is_panic());
    let stats = breaker.stats();
    assert_eq!(
        (stats.failures, stats.cancelled, stats.state),
        (0, 5, State::Closed)
    );
}

#[test]
fn a_panic_anywhere_inside_the_call_is_a_failure() {
    type Answer = Result<(), ()>;
    let breaker = breaker(&limited());
    let mut making = Box::pin(breaker.call(|| -> Ready<Answer> { panic!("on purpose") }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(making.as_mut()))).is_err());
    let by_panic = |_: &Answer| -> Verdict { panic!("on purpose") };
    let mut judging = Box::pin(breaker.call_with(&by_panic, || ready(Ok(()))));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(judging.as_mut()))).is_err());
    let stats = breaker.stats();
    assert_eq!(
        (stats.failures, stats.cancelled, stats.in_flight),
        (2, 0, 0)
    );
}

#[test]
fn a_permit_can_be_cancelled_while_a_panic_unwinds() {
    struct Cancels<'a>(Option<Permit<&'a Breaker>>);
    impl Drop for Cancels<'_> {
        fn drop(&mut self) {
            self.0.take().expect("once").cancel();
        }
    }
    let breaker = breaker(&limited());
    let guarded = AssertUnwindSafe(|| {
        let _cancels = Cancels(Some(breaker.try_acquire().expect("closed")));
        panic!("on purpose");
    });
    assert!(catch_unwind(guarded).is_err());
    let stats = breaker.stats();
    assert_eq!(
        (stats.failures, stats.cancelled, stats.in_flight),
        (0, 1, 0)
    );
}

#[test]
fn a_permit_dropped_by_a_panic_is_a_failure() {
    let breaker = breaker(&config());
    let guarded = AssertUnwindSafe(|| {
        let _permit = breaker.try_acquire().expect("closed");
        panic!("on purpose");
    });
    assert!(std::panic::catch_unwind(guarded).is_err());
    assert_eq!(
        (breaker.stats().failures, breaker.stats().cancelled),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_panicking_probe_reopens() {
    let breaker = half_open().await;
    let guarded = AssertUnwindSafe(|| {
        let _permit = breaker.try_acquire().expect("a probe");
        panic!("on purpose");
    });
    assert!(std::panic::catch_unwind(guarded).is_err());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn an_owned_permit_is_one_permit() {
    let breaker = breaker(&limited());
    let permit = breaker.try_acquire().expect("closed").into_owned();
    assert_eq!(
        (breaker.stats().in_flight, breaker.stats().cancelled),
        (1, 0)
    );
    std::thread::spawn(move || permit.success())
        .join()
        .expect("no panic");
    assert_eq!(
        (breaker.stats().in_flight, breaker.stats().successes),
        (0, 1)
    );
}
