//! The layer before a service with a script.

use crate::support::{Texts, key, ms, ten_seconds, with_class};
use mcp_cache::{
    ClassConfig, Error, Loaded,
    tower::{CacheLayer, CacheService, Key},
};
use std::{
    future::{Ready, poll_fn, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

/// Counts; can be not ready, and fails for "bad".
#[derive(Default)]
struct Counting {
    calls: Arc<AtomicU64>,
    clones: Arc<AtomicU64>,
    busy: Arc<AtomicBool>,
}

impl Clone for Counting {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            calls: Arc::clone(&self.calls),
            clones: Arc::clone(&self.clones),
            busy: Arc::clone(&self.busy),
        }
    }
}

impl Service<String> for Counting {
    type Response = u64;
    type Error = String;
    type Future = Ready<Result<u64, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        match self.busy.load(Ordering::Relaxed) {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: String) -> Self::Future {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        ready(if request == "bad" {
            Err(request)
        } else {
            Ok(call)
        })
    }
}

type LookupOf = fn(&String) -> Option<Key<String>>;
type KeepOf = fn(&String, u64) -> Loaded<u64>;
type Cached = CacheService<Counting, String, u64, LookupOf, KeepOf>;

/// Writes go past the cache; answers carry their key as a tag; the third answer is
/// not kept.
fn cached(cache: &Texts) -> (Cached, Counting) {
    let inner = Counting::default();
    let lookup: LookupOf =
        |request| (!request.starts_with("write")).then(|| Key::new(request.clone()));
    let keep: KeepOf = |key, value| {
        let loaded = Loaded::new(value).tags([key.clone()]);
        if value == 3 {
            loaded.not_kept()
        } else {
            loaded
        }
    };
    let layer = CacheLayer::new(cache.clone(), lookup).keep(keep);
    let service = ServiceBuilder::new().layer(layer).service(inner.clone());
    (service, inner)
}

async fn call(service: &mut Cached, request: &str) -> Result<u64, Error<String>> {
    service.ready().await?.call(request.to_owned()).await
}

#[tokio::test(start_paused = true)]
async fn answers_come_from_the_cache_until_their_tag_is_invalidated() {
    let cache = with_class(ten_seconds());
    let (mut service, inner) = cached(&cache);
    for request in ["a", "a", "write", "write", "a"] {
        let answer = call(&mut service, request).await.expect("answered");
        let expect = inner.calls.load(Ordering::Relaxed);
        assert_eq!(answer, if request == "a" { 1 } else { expect });
    }
    cache.invalidate_by_tags(&["a"]);
    assert_eq!(call(&mut service, "a").await.expect("answered"), 4);
    assert_eq!(service.cache().stats().hits, 2);
    assert_eq!(service.inner().calls.load(Ordering::Relaxed), 4);
}

/// What is boxed allocates when it is cloned.
#[tokio::test]
async fn a_hit_does_not_clone_the_inner_service() {
    let cache = with_class(ten_seconds());
    let (mut service, inner) = cached(&cache);
    call(&mut service, "a").await.expect("answered");
    let clones = inner.clones.load(Ordering::Relaxed);
    call(&mut service, "a").await.expect("answered");
    assert_eq!(inner.clones.load(Ordering::Relaxed), clones);
    call(&mut service, "b").await.expect("answered");
    assert_eq!(inner.clones.load(Ordering::Relaxed), clones + 1);
}

#[tokio::test(start_paused = true)]
async fn errors_and_what_says_so_are_not_kept() {
    let cache = with_class(ten_seconds());
    let (mut service, inner) = cached(&cache);
    for _ in 0..2 {
        let error = call(&mut service, "bad").await.expect_err("bad");
        assert_eq!(error.into_load().as_deref(), Some(&key("bad")));
    }
    for expect in [3, 4, 4] {
        assert_eq!(call(&mut service, "a").await.expect("answered"), expect);
    }
    assert_eq!(inner.calls.load(Ordering::Relaxed), 4);
}

/// A hit is ready at its first poll, also when the inner service is not.
#[tokio::test(start_paused = true)]
async fn a_hit_does_not_wait_for_the_inner_service() {
    let cache = with_class(ten_seconds());
    let (mut service, inner) = cached(&cache);
    cache.insert(key("a"), 7, []);
    inner.busy.store(true, Ordering::Relaxed);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let mut hit = service.call(key("a"));
    assert_eq!(format!("{hit:?}"), "CacheFuture { state: \"hit\" }");
    assert!(matches!(
        std::pin::Pin::new(&mut hit).poll(cx),
        Poll::Ready(Ok(7))
    ));
    let mut miss = service.call(key("b"));
    assert!(std::pin::Pin::new(&mut miss).poll(cx).is_pending());
    inner.busy.store(false, Ordering::Relaxed);
    assert_eq!(
        poll_fn(|cx| std::pin::Pin::new(&mut miss).poll(cx))
            .await
            .expect("answered"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_class_is_kept_by_its_rules() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        ..ten_seconds()
    };
    let cache = with_class(class);
    let layer = CacheLayer::new(cache.clone(), |request: &String| {
        Some(Key::new(request.clone()).class(mcp_cache::Class::DEFAULT))
    });
    let mut service = layer.layer(Counting::default());
    let mut ask = async || service.ready().await.expect("ready").call(key("a")).await;
    assert_eq!(ask().await.expect("answered"), 1);
    tokio::time::advance(ms(10_000)).await;
    assert_eq!(ask().await.expect("stale"), 1);
    tokio::time::sleep(ms(1)).await;
    assert_eq!(ask().await.expect("refreshed"), 2);
}
