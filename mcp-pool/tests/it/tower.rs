//! The pool as a `MakeService`.

use crate::support::ms;
use mcp_pool::{Config, Pool, from_fn, tower::MakeLease};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::{MakeService, Service, ServiceExt};

/// Counts its calls.
#[derive(Debug, Default)]
struct Counting(u32);

impl Service<u32> for Counting {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, add: u32) -> Self::Future {
        self.0 += add;
        ready(Ok(self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_a_service_and_is_used_again() {
    let config = Config {
        max_connections: 1,
        acquire_timeout: ms(50),
        ..Config::default()
    };
    let pool = Pool::new(&config, from_fn(async || Counting::default())).expect("valid");
    let mut make = MakeLease::new(pool.clone());
    for round in 1..=3 {
        let mut lease = make.make_service("anywhere").await.expect("a lease");
        assert_eq!(
            lease.ready().await.expect("ready").call(5).await,
            Ok(5 * round)
        );
        let full = make.make_service("anywhere").await.map(drop);
        assert!(full.is_err(), "there is one");
    }
    assert_eq!(pool.stats().opened, 1);
}
