//! The peers, configured for the same work: open at half of 100 calls.

use crate::layers::{Echo, block, calling, complete, nanos_per_call, print_allocations_of};
use benches::rivals::{Case, figure};
use failsafe::{backoff, failure_policy};
use recloser::Recloser;
use std::{hint::black_box, sync::Mutex, thread, time::Duration};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerLayer, CircuitState, DefaultClassifier, SlidingWindowType,
};
use tower_service::Service;

const OPEN: Duration = Duration::from_secs(60);

fn recloser(open: Duration) -> Recloser {
    Recloser::custom()
        .error_rate(0.5)
        .closed_len(100)
        .half_open_len(3)
        .open_wait(open)
        .build()
}

fn recloser_call(recloser: &Recloser, result: Result<u64, ()>) -> bool {
    !matches!(
        black_box(recloser).call(|| black_box(result)),
        Err(recloser::Error::Rejected)
    )
}

fn failsafe_consecutive(
    failures: u32,
    open: Duration,
) -> failsafe::StateMachine<failure_policy::ConsecutiveFailures<backoff::Constant>, ()> {
    let policy = failure_policy::consecutive_failures(failures, backoff::constant(open));
    failsafe::Config::new().failure_policy(policy).build()
}

fn failsafe_call(breaker: &impl failsafe::CircuitBreaker, result: Result<u64, ()>) -> bool {
    !matches!(
        black_box(breaker).call(|| black_box(result)),
        Err(failsafe::Error::Rejected)
    )
}

/// Each thread would share the service by cloning it; the clones share the
/// circuit.
pub(crate) fn tower_resilience_service() -> CircuitBreaker<Echo, DefaultClassifier> {
    tower_resilience(Echo, OPEN)
}

fn tower_resilience<S>(service: S, open: Duration) -> CircuitBreaker<S, DefaultClassifier> {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .wait_duration_in_open(open)
        .permitted_calls_in_half_open(3)
        .build()
        .expect("a valid configuration")
        .layer_fn(service)
}

pub(crate) fn allowed() -> Vec<Case> {
    let recloser = recloser(OPEN);
    let failsafe = failsafe_consecutive(50, OPEN);
    let tower = tower_resilience_service();
    vec![
        Case::new("recloser", move || {
            black_box(recloser_call(&recloser, Ok(0)));
        }),
        Case::new("failsafe, consecutive failures only", move || {
            black_box(failsafe_call(&failsafe, Ok(0)));
        }),
        Case::new("tower-resilience (clone + call)", move || {
            black_box(complete(&mut tower.clone()).is_ok());
        })
        .slow(),
    ]
}

pub(crate) fn refused(threads: usize) -> Vec<Case> {
    let recloser = recloser(OPEN);
    while recloser_call(&recloser, Err(())) {}
    let failsafe = failsafe_consecutive(5, OPEN);
    while failsafe_call(&failsafe, Err(())) {}
    let tower = tower_resilience_service();
    block(tower.force_open());
    let mut cases = vec![
        Case::new("recloser", move || {
            black_box(recloser_call(&recloser, Ok(0)));
        }),
        Case::new("failsafe", move || {
            black_box(failsafe_call(&failsafe, Ok(0)));
        }),
    ];
    // Its refusal needs a runtime around it, which only the main thread has.
    if threads == 1 {
        cases.push(Case::new("tower-resilience (clone + call)", move || {
            black_box(complete(&mut tower.clone()).is_err());
        }));
    }
    cases
}

pub(crate) fn layers() -> Vec<Case> {
    vec![Case::new(
        "tower-resilience",
        calling(tower_resilience_service()),
    )]
}

pub(crate) fn print_allocations() {
    print_allocations_of("tower-resilience", "-", calling(tower_resilience_service()));
}

pub(crate) fn time_windows() -> Vec<Case> {
    let policy = failure_policy::success_rate_over_time_window(
        0.5,
        20,
        Duration::from_secs(10),
        backoff::constant(OPEN),
    );
    let failsafe = failsafe::Config::new().failure_policy(policy).build();
    vec![Case::new(
        "failsafe, moving average (not a window)",
        move || {
            black_box(failsafe_call(&failsafe, Ok(0)));
        },
    )]
}

pub(crate) fn print_flatness() {
    let service = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(Duration::from_secs(10))
        .minimum_number_of_calls(20)
        .build()
        .expect("a valid configuration")
        .layer_fn(Echo);
    let call = calling(service);
    let mut held = 0;
    for calls in [1_000u64, 4_000, 5_000, 10_000, 20_000] {
        let ns = nanos_per_call(calls, &call);
        held += calls;
        figure(
            &format!("tower-resilience up to {held}"),
            format!("{ns:.0}"),
            "-",
        );
    }
}

/// Fails or answers as it is told.
#[derive(Debug, Clone)]
struct Switch(std::sync::Arc<Mutex<bool>>);

impl Service<u64> for Switch {
    type Response = u64;
    type Error = &'static str;
    type Future = std::future::Ready<Result<u64, &'static str>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        let fails = *self.0.lock().expect("not poisoned");
        std::future::ready(if fails { Err("down") } else { Ok(request) })
    }
}

pub(crate) fn print_behaviour() {
    const MOST: u32 = 20_000;
    let ring = recloser(OPEN);
    for _ in 0..10_000 {
        recloser_call(&ring, Ok(0));
    }
    let failures = (0..MOST)
        .take_while(|_| recloser_call(&ring, Err(())))
        .count();
    figure(
        "recloser: failures until it opens, after 10,000 successes",
        failures,
        "-",
    );
    figure(
        "tower-resilience: the same",
        tower_resilience_failures(MOST),
        "-",
    );
    let open = Duration::from_millis(20);
    let half = recloser(open);
    while recloser_call(&half, Err(())) {}
    #[expect(
        clippy::disallowed_methods,
        reason = "no runtime here: the peer waits in real time"
    )]
    thread::sleep(open * 2);
    figure(
        "recloser: admitted of 20 callers at once, half-open",
        nested(&half, 20),
        "-",
    );
}

fn tower_resilience_failures(most: u32) -> usize {
    let fails = std::sync::Arc::new(Mutex::new(false));
    let mut service = tower_resilience(Switch(fails.clone()), OPEN);
    (0..10_000).for_each(|_| drop(complete(&mut service)));
    *fails.lock().expect("not poisoned") = true;
    let open = |service: &CircuitBreaker<_, _>| service.state_sync() == CircuitState::Open;
    (0..most)
        .take_while(|_| {
            let still = !open(&service);
            drop(complete(&mut service));
            still
        })
        .count()
}

/// Callers that are all inside at the same time: each makes the next call
/// before it returns.
fn nested(recloser: &Recloser, callers: u32) -> u32 {
    let mut inside = 0;
    if callers > 0 {
        let _ = recloser.call(|| {
            inside = 1 + nested(recloser, callers - 1);
            Ok::<_, ()>(())
        });
    }
    inside
}
