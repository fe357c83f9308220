//! A whole read (look, ticket, flight, load, store, landing) against an invalidation
//! and against callers that go away, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-cache --release --lib loom_models
//! ```

use crate::{
    Cache, Config, Epochs, Loaded,
    sync::{AtomicU64, Ordering},
};
use loom::{future::block_on, model::Builder, thread};
use std::{
    convert::Infallible,
    future::poll_fn,
    num::NonZeroU64,
    sync::Arc,
    task::{Context, Poll, Waker},
};

const KEY: u64 = 1;
const TAG: &str = "t";

struct Model {
    cache: Cache<u64, u64>,
    source: AtomicU64,
    loads: AtomicU64,
}

impl Model {
    fn new() -> Arc<Self> {
        let config = Config {
            entries_max: NonZeroU64::new(8),
            ..Config::default()
        };
        let builder = Cache::builder(&config).epochs(Arc::new(Epochs::new(4)));
        Arc::new(Self {
            cache: builder.build().expect("valid"),
            source: AtomicU64::new(1),
            loads: AtomicU64::new(0),
        })
    }

    /// Reads through the cache; the load takes as many polls more as `waits` says.
    fn fetch(self: &Arc<Self>, mut waits: u32) -> impl Future<Output = u64> + use<> {
        let model = Arc::clone(self);
        async move {
            let source = Arc::clone(&model);
            let load = move || async move {
                source.loads.fetch_add(1, Ordering::Relaxed);
                poll_fn(|_| match waits.checked_sub(1) {
                    Some(fewer) => {
                        waits = fewer;
                        Poll::Pending
                    }
                    None => Poll::Ready(()),
                })
                .await;
                let value = source.source.load(Ordering::Acquire);
                Ok::<_, Infallible>(Loaded::new(value).tags([TAG]))
            };
            match model.cache.get_or_fetch(&KEY, load).await {
                Ok(answer) => answer.value,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// One reads while the source changes and is invalidated; what is read after that is
/// new, whoever loads it.
fn read_against(invalidate: fn(&Cache<u64, u64>)) {
    explore(move || {
        let model = Model::new();
        let other = Arc::clone(&model);
        let reader = thread::spawn(move || block_on(other.fetch(0)));
        model.source.store(2, Ordering::Release);
        invalidate(&model.cache);
        assert_eq!(block_on(model.fetch(0)), 2, "a stale read");
        reader.join().expect("no panic");
        assert_eq!(block_on(model.fetch(0)), 2, "a stale read");
        assert!(model.loads.load(Ordering::Relaxed) <= 3);
    });
}

/// Seen to fail: with `may_serve` always true and no flight detached by
/// `Inner::invalidate_key`; each of the two is enough.
#[test]
fn a_read_after_an_invalidation_by_key_is_new() {
    read_against(|cache| {
        cache.invalidate(&KEY);
    });
}

/// Seen to fail: with `may_serve` always true.
#[test]
fn a_read_after_an_invalidation_by_tag_is_new() {
    read_against(|cache| cache.invalidate_by_tags(&[TAG]));
}

/// The one who loads goes away while another comes: that one is answered, by a load of
/// its own.
///
/// Seen to fail: with `Lead`'s drop doing nothing (a deadlock).
#[test]
fn who_comes_while_the_leader_goes_away_is_answered() {
    explore(|| {
        let model = Model::new();
        let mut leader = Box::pin(model.fetch(1));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(cx).is_pending());
        let other = Arc::clone(&model);
        let reader = thread::spawn(move || block_on(other.fetch(0)));
        drop(leader);
        assert_eq!(reader.join().expect("no panic"), 1);
        assert_eq!(model.loads.load(Ordering::Relaxed), 2);
        assert_eq!(model.cache.stats().loading, 0);
    });
}

/// Two miss at once: one load.
///
/// Seen to fail: without the leader's second look.
#[test]
fn two_who_miss_at_once_load_once() {
    explore(|| {
        let model = Model::new();
        let other = Arc::clone(&model);
        let reader = thread::spawn(move || block_on(other.fetch(0)));
        assert_eq!(block_on(model.fetch(0)), 1);
        assert_eq!(reader.join().expect("no panic"), 1);
        assert_eq!(model.loads.load(Ordering::Relaxed), 1);
    });
}
