//! The tower layers around a service that answers at once.

use crate::counting::allocations;
use benches::rivals::{Case, figure};
use mcp_breaker::{Breaker, Config, tower::GuardLayer};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    sync::{Mutex, OnceLock},
    task::{Context, Poll, Waker},
    time::Instant,
};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

/// Answers at once with the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// The runtime in which breakers open, so that their timers have a home.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime")
    })
}

/// Makes a call and polls it to its end; everything here is ready at once.
pub(crate) fn complete<S: Service<u64>>(service: &mut S) -> Result<S::Response, S::Error> {
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(&mut cx) else {
        panic!("not ready")
    };
    block(service.call(black_box(1)))
}

/// Polls a future that is expected to be ready.
pub(crate) fn block<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
    }
}

/// One call through our layer. The mutex makes the closure shareable and costs
/// every rival the same.
pub(crate) fn guarded_call() -> impl Fn() + Sync {
    let breaker = Breaker::new(&Config::default()).expect("a valid configuration");
    calling(GuardLayer::new(breaker).layer(Echo))
}

pub(crate) fn calling<S: Service<u64> + Send>(service: S) -> impl Fn() + Sync {
    let service = Mutex::new(service);
    move || {
        let mut service = service.lock().expect("no rival panics");
        black_box(complete(&mut *service).is_ok());
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let ours = vec![
        Case::new("mcp-breaker", guarded_call()).target_ns(60.0),
        Case::new("floor: the bare service", calling(Echo)),
    ];
    ours.into_iter().chain(crate::peers::layers()).collect()
}

pub(crate) fn print_allocations() {
    print_allocations_of("mcp-breaker", "0", guarded_call());
    crate::peers::print_allocations();
}

pub(crate) fn print_allocations_of(name: &str, target: &str, call: impl Fn()) {
    let count = allocations(|| (0..1000).for_each(|_| call()));
    figure(
        &format!("{name}: allocations in 1000 calls through the layer"),
        count,
        target,
    );
}

/// Nanoseconds per call of one stretch of calls.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn nanos_per_call(calls: u64, call: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / calls as f64
}
