//! The tower layer: what it admits, what it reports, how it ends.

use crate::support::{DELAY, advance, breaker, config, half_open, take_all, trip};
use mcp_breaker::{
    Breaker, CallError, Config, LimitConfig, Rejected, State, Throttle, ThrottleConfig, Verdict,
    tower::{Guard, GuardLayer, Readiness},
};
use std::{
    future::pending,
    panic::AssertUnwindSafe,
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Result<u16, &'static str>;

fn guarded(
    breaker: &Breaker,
    answer: Answer,
) -> Guard<impl Service<(), Response = u16, Error = &'static str>, Breaker, mcp_breaker::ByResult> {
    let service = service_fn(move |()| std::future::ready(answer));
    GuardLayer::new(breaker.clone()).layer(service)
}

fn poll_ready<S: Service<()>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn results_pass_through_and_are_recorded() {
    let breaker = breaker(&config());
    assert_eq!(guarded(&breaker, Ok(7)).oneshot(()).await, Ok(7));
    let failed = guarded(&breaker, Err("down")).oneshot(()).await;
    assert_eq!(failed, Err(CallError::Inner("down")));
    assert_eq!(
        (breaker.stats().successes, breaker.stats().failures),
        (1, 1)
    );
}

#[tokio::test]
async fn an_open_breaker_answers_at_once() {
    let breaker = breaker(&config());
    breaker.force_open();
    let mut service = guarded(&breaker, Ok(7));
    assert!(poll_ready(&mut service).is_ready());
    let refused = service.call(()).await;
    assert_eq!(refused, Err(CallError::Rejected(Rejected::ForcedOpen)));
    assert!(!refused.expect_err("refused").is_retryable());
}

#[tokio::test]
async fn a_classifier_sees_the_response() {
    let breaker = breaker(&config());
    let by_status = |result: &Answer| match result {
        Ok(503) | Err(_) => Verdict::FAILURE,
        Ok(429) => Verdict::OVERLOAD,
        Ok(_) => Verdict::SUCCESS,
    };
    let layer = GuardLayer::new(breaker.clone()).classify(by_status);
    for status in [200, 429, 503] {
        let service = layer.layer(service_fn(move |()| std::future::ready(Answer::Ok(status))));
        assert_eq!(service.oneshot(()).await, Ok(status));
    }
    let stats = breaker.stats();
    assert_eq!(
        (stats.successes, stats.overloads, stats.failures),
        (1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_a_balancer_sees_that_it_is_not_ready() {
    let breaker = breaker(&config());
    let service = service_fn(|()| std::future::ready(Answer::Ok(7)));
    let mut service = GuardLayer::new(breaker.clone())
        .readiness(Readiness::Wait)
        .layer(service);
    assert!(poll_ready(&mut service).is_ready());
    trip(&breaker);
    assert!(poll_ready(&mut service).is_pending());
    let start = tokio::time::Instant::now();
    assert_eq!(service.ready().await.expect("ready").call(()).await, Ok(7));
    assert_eq!(start.elapsed(), DELAY);
    let probes = take_all(&breaker);
    assert_eq!(probes.len(), 2, "one of three has succeeded");
    assert!(poll_ready(&mut service).is_pending());
    drop(probes);
    assert!(poll_ready(&mut service).is_ready());
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_it_is_not_ready_either_when_the_limit_is_full() {
    let breaker = breaker(&Config {
        limit: LimitConfig::Fixed { max_in_flight: 1 },
        ..config()
    });
    let service = service_fn(|()| std::future::ready(Answer::Ok(7)));
    let mut service = GuardLayer::new(breaker.clone())
        .readiness(Readiness::Wait)
        .layer(service);
    for settles in [true, false] {
        let permit = breaker.try_acquire_owned().expect("a place");
        assert!(poll_ready(&mut service).is_pending());
        let mut waiting = service.clone();
        let waiting = tokio::spawn(async move { waiting.ready().await?.call(()).await });
        advance(DELAY).await;
        assert!(!waiting.is_finished());
        if settles {
            permit.success();
        } else {
            drop(permit);
        }
        let woken = tokio::time::timeout(DELAY, waiting).await.expect("woken");
        assert_eq!(woken.expect("no panic"), Ok(7));
    }
}

/// Its one place is taken for good, as behind a limit or a full buffer.
#[derive(Clone)]
struct Busy;

impl Service<()> for Busy {
    type Response = u16;
    type Error = &'static str;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called although it was not ready")
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_wait_for_the_inner_service() {
    let limited = Config {
        limit: LimitConfig::Fixed { max_in_flight: 1 },
        ..config()
    };
    let breaker = breaker(&limited);
    let mut service = GuardLayer::new(breaker.clone()).layer(Busy);
    assert!(poll_ready(&mut service).is_pending(), "allowed: it waits");
    let place = breaker.try_acquire().expect("a place");
    assert!(poll_ready(&mut service).is_ready());
    drop(place);
    assert!(
        poll_ready(&mut service).is_ready(),
        "and stays so until called"
    );
    let refused = service.call(()).await;
    assert!(matches!(
        refused,
        Err(CallError::Rejected(Rejected::Limited { .. }))
    ));
    trip(&breaker);
    assert!(poll_ready(&mut service).is_ready());
    // What was promised holds, also when the delay has passed meanwhile.
    advance(DELAY).await;
    let refused = service.call(()).await;
    assert!(matches!(
        refused,
        Err(CallError::Rejected(Rejected::Open { .. }))
    ));
    assert!(poll_ready(&mut service).is_pending(), "a probe waits again");
    assert_eq!((breaker.stats().rejected, breaker.stats().limited), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_response_gives_the_probe_back() {
    let breaker = half_open().await;
    let service = service_fn(|()| pending::<Answer>());
    let mut service = GuardLayer::new(breaker.clone()).layer(service);
    for polled in [false, true] {
        for _ in 0..5 {
            let mut response = Box::pin(service.call(()));
            if polled {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(response.as_mut().poll(&mut cx).is_pending());
            }
        }
        assert_eq!(take_all(&breaker).len(), 3);
    }
}

/// A layer that catches panics drops the future afterwards, when the thread no
/// longer unwinds: the guard must have reported by then.
#[test]
fn a_panic_in_the_service_is_a_failure() {
    let breaker = breaker(&config());
    let service = service_fn(|()| async { panic!("on purpose") as Answer });
    let mut service = GuardLayer::new(breaker.clone()).layer(service);
    let mut response = Box::pin(service.call(()));
    let mut cx = Context::from_waker(Waker::noop());
    let polled = AssertUnwindSafe(|| response.as_mut().poll(&mut cx).is_ready());
    assert!(std::panic::catch_unwind(polled).is_err());
    assert_eq!(
        (breaker.stats().failures, breaker.stats().cancelled),
        (1, 0)
    );
    drop(response);
    assert_eq!(
        (breaker.stats().failures, breaker.stats().cancelled),
        (1, 0)
    );
}

fn panics(part: impl FnOnce() -> bool) -> bool {
    std::panic::catch_unwind(AssertUnwindSafe(part)).is_err()
}

#[test]
fn a_panic_of_the_caller_is_not_the_services() {
    let breaker = breaker(&config());
    let throttle = Throttle::new(&ThrottleConfig::default()).expect("a valid configuration");
    for _ in 0..10 {
        mcp_breaker::Settle::settle(throttle.try_acquire().expect("healthy"), Verdict::SUCCESS);
    }
    let layer = GuardLayer::new((throttle.clone(), breaker.clone()));
    let mut service = layer.layer(service_fn(|()| pending::<Answer>()));
    assert!(panics(|| {
        let mut cx = Context::from_waker(Waker::noop());
        let mut calls: Vec<_> = (0..5).map(|_| Box::pin(service.call(()))).collect();
        assert!(
            calls
                .iter_mut()
                .all(|call| call.as_mut().poll(&mut cx).is_pending())
        );
        panic!("on purpose");
    }));
    let stats = breaker.stats();
    assert_eq!((stats.failures, stats.cancelled), (0, 5));
    assert_eq!(throttle.stats().requests, 10);
}

#[test]
fn a_panic_of_the_classifier_or_while_calling_is_a_failure() {
    let breaker = breaker(&config());
    let mut cx = Context::from_waker(Waker::noop());
    let by_panic = |_: &Answer| -> Verdict { panic!("on purpose") };
    let layer = GuardLayer::new(breaker.clone()).classify(by_panic);
    let mut service = layer.layer(service_fn(|()| std::future::ready(Answer::Ok(7))));
    let mut response = Box::pin(service.call(()));
    assert!(panics(|| response.as_mut().poll(&mut cx).is_ready()));
    let service = service_fn(|()| -> std::future::Ready<Answer> { panic!("on purpose") });
    let mut service = GuardLayer::new(breaker.clone()).layer(service);
    assert!(panics(|| Box::pin(service.call(()))
        .as_mut()
        .poll(&mut cx)
        .is_ready()));
    drop(response);
    assert_eq!(
        (breaker.stats().failures, breaker.stats().cancelled),
        (2, 0)
    );
}

#[test]
fn the_service_can_be_shared_as_servers_ask() {
    fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
    check(
        &GuardLayer::new(breaker(&config()))
            .layer(service_fn(|()| std::future::ready(Answer::Ok(7)))),
    );
}

#[tokio::test]
async fn any_policy_guards() {
    let throttle = Throttle::new(&ThrottleConfig::default()).expect("a valid configuration");
    let breaker = breaker(&config());
    let layer = GuardLayer::new((throttle.clone(), breaker.clone()));
    let service = layer.layer(service_fn(|()| std::future::ready(Answer::Ok(7))));
    assert_eq!(service.oneshot(()).await, Ok(7));
    assert_eq!(
        (throttle.stats().accepted, breaker.stats().successes),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn services_of_one_layer_share_its_breaker() {
    let breaker = breaker(&config());
    let layer = GuardLayer::new(breaker.clone());
    let down = || layer.layer(service_fn(|()| std::future::ready(Answer::Err("down"))));
    for _ in 0..5 {
        assert!(down().oneshot(()).await.is_err());
    }
    assert_eq!(breaker.state(), State::Open);
    advance(DELAY).await;
    assert_eq!(breaker.state(), State::HalfOpen);
}
