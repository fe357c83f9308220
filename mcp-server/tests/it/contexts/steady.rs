//! Contexts of a store that fails or hangs: refused at once, or told in time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mcp_server::{
    adapters::{GuardConfig, SteadyContexts},
    call::Call,
    context::{
        ContextChanges, ContextError, ContextKey, Get, Kept, List, Listed, Put, StandardManager,
    },
    memory::MemoryError,
    ports::ContextStore,
};
use serde_json::json;

use super::store;
use crate::{contract::contexts, support::process::folder};

const TIMEOUT: Duration = Duration::from_millis(100);

/// A store that fails, or hangs, as it is told.
#[derive(Default)]
struct Scripted {
    hangs: AtomicBool,
    reached: AtomicUsize,
}

impl Scripted {
    async fn answer<T>(&self) -> Result<T, ContextError> {
        self.reached.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Err(ContextError::Store(MemoryError::Unavailable {
            reason: "down".to_owned(),
        }))
    }
}

#[async_trait]
impl ContextStore for Scripted {
    async fn put(&self, call: &Call, _: Put) -> Result<Kept, ContextError> {
        assert!(call.deadline.is_some(), "the store knows of it");
        self.answer().await
    }

    async fn get(&self, call: &Call, _: Get) -> Result<Kept, ContextError> {
        assert!(call.deadline.is_some(), "the store knows of it");
        self.answer().await
    }

    async fn list(&self, _: &Call, _: List) -> Result<Listed, ContextError> {
        self.answer().await
    }

    fn mark(&self) -> Option<u64> {
        None
    }

    async fn changes_after(&self, _: u64) -> Result<ContextChanges, ContextError> {
        self.answer().await
    }

    async fn hottest(&self, _: u32, _: u32) -> Result<Vec<ContextKey>, ContextError> {
        self.answer().await
    }

    async fn count_reads(&self, _: Vec<(ContextKey, u64)>) -> Result<(), ContextError> {
        self.answer().await
    }
}

fn get() -> Get {
    serde_json::from_value(json!({"id": "a"})).unwrap()
}

fn put() -> Put {
    serde_json::from_value(json!({"id": "a", "content": "x"})).unwrap()
}

#[tokio::test]
async fn a_store_that_keeps_its_time_keeps_the_contract() {
    let dir = folder();
    let unhurried = Duration::from_secs(30);
    let steady = SteadyContexts::new(store(dir.path()), unhurried, &GuardConfig::default());
    contexts::check(Arc::new(StandardManager::new(Arc::new(steady.unwrap())))).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_left_alone_and_found_again() {
    let scripted = Arc::new(Scripted::default());
    let guard = GuardConfig::default();
    let steady = SteadyContexts::new(scripted.clone(), TIMEOUT, &guard).unwrap();
    let call = crate::contract::call();
    for _ in 0..20 {
        let error = steady.get(&call, get()).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), ("unavailable", true));
    }
    assert_eq!(scripted.reached.swap(0, Ordering::Relaxed), 5);
    // Puts have a breaker of their own.
    for _ in 0..20 {
        steady.put(&call, put()).await.unwrap_err();
    }
    assert_eq!(scripted.reached.swap(0, Ordering::Relaxed), 5);
    tokio::time::advance(guard.timeout + Duration::from_secs(1)).await;
    steady.get(&call, get()).await.unwrap_err();
    assert_eq!(scripted.reached.swap(0, Ordering::Relaxed), 1, "one trial");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_in_time_and_not_taken_for_broken() {
    let scripted = Arc::new(Scripted::default());
    scripted.hangs.store(true, Ordering::Relaxed);
    let steady = SteadyContexts::new(scripted.clone(), TIMEOUT, &GuardConfig::default()).unwrap();
    let call = crate::contract::call();
    for _ in 0..10 {
        let began = tokio::time::Instant::now();
        let error = steady.get(&call, get()).await.unwrap_err();
        assert_eq!(error.code(), "timeout");
        let error = steady.changes_after(0).await.unwrap_err();
        assert_eq!(error.code(), "timeout");
        let error = steady.put(&call, put()).await.unwrap_err();
        assert_eq!(error.code(), "outcome_unknown");
        assert!(began.elapsed() < TIMEOUT * 4, "{:?}", began.elapsed());
    }
    assert_eq!(scripted.reached.load(Ordering::Relaxed), 30);
}
