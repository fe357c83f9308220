//! Time: answers are kept for their time to live, and no memory outlives its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{
        Add, Added, Changes, Delete, Deleted, Found, Get, Hit, Mark, Memory, MemoryError, MemoryId,
        Operation, Outcome, Search, Update, Updated, Version,
        search::{Basis, Match, Statistics, Watermark},
    },
    ports::{ChangeFeed, MemoryStore},
    written::Form,
};
use tokio::time::advance;

use super::{cached, counting::Counting};
use crate::contract::{call, get};

/// A store of one memory that nobody changes, with a feed that says so without waiting.
struct Still(Arc<Memory>);

impl Still {
    fn new(expires_at: Option<Timestamp>) -> Self {
        let now = Timestamp::now();
        Self(Arc::new(Memory {
            id: MemoryId::generate(),
            namespace: "default".to_owned(),
            content: "dipper".to_owned(),
            tags: Vec::new(),
            metadata: serde_json::Map::new(),
            version: 1,
            created_at: now,
            updated_at: now,
            expires_at,
            form: Form::default(),
        }))
    }
}

#[async_trait]
impl ChangeFeed for Still {
    fn version(&self) -> Option<Version> {
        None
    }

    async fn changes(&self, after: Option<Watermark>, _: usize) -> Result<Changes, MemoryError> {
        Ok(Changes {
            upto: Watermark {
                sequence: 1,
                stamp: 1,
            },
            list: after.map(|_| Vec::new()),
        })
    }

    async fn history(&self, _: usize) -> Result<Vec<Mark>, MemoryError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl MemoryStore for Still {
    async fn search(&self, _: &Call, _: Search) -> Result<Found, MemoryError> {
        let mut statistics = Statistics::new(1);
        statistics.add_in_scope(1, 2);
        statistics.add_with_word(0, 1);
        Ok(Found {
            memories: vec![Hit {
                memory: self.0.clone(),
                score: 1.0,
            }],
            truncated: false,
            form: Arc::default(),
            basis: Some(Arc::new(Basis {
                upto: 1,
                matches: vec![Match { score: 1.0, row: 1 }],
                statistics,
            })),
        })
    }

    async fn get(&self, _: &Call, _: Get) -> Result<Arc<Memory>, MemoryError> {
        Ok(self.0.clone())
    }

    async fn add(&self, _: &Call, _: Add) -> Result<Added, MemoryError> {
        unreachable!("nobody writes")
    }

    async fn update(&self, _: &Call, _: Update) -> Result<Updated, MemoryError> {
        unreachable!("nobody writes")
    }

    async fn delete(&self, _: &Call, _: Delete) -> Result<Deleted, MemoryError> {
        unreachable!("nobody writes")
    }

    async fn batch(
        &self,
        _: &Call,
        _: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        unreachable!("nobody asks for one")
    }
}

fn search() -> Search {
    Search {
        query: "dipper".to_owned(),
        ..Search::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_time_to_live() {
    let still = Arc::new(Still::new(None));
    let id = still.0.id.clone();
    let counting = Counting::new(still.clone());
    let store = cached(counting.clone(), still, &CacheConfig::default());
    let call = call();
    let ask = async || {
        store.search(&call, search()).await.unwrap();
        store.get(&call, get(&id)).await.unwrap();
        counting.reads()
    };
    assert_eq!(ask().await, 2);
    advance(Duration::from_secs(299)).await;
    assert_eq!(ask().await, 0);
    advance(Duration::from_secs(2)).await;
    assert_eq!(ask().await, 2, "asking does not prolong it");
    assert_eq!(ask().await, 0);
}

#[tokio::test]
async fn an_expired_memory_is_never_answered_from_the_cache() {
    let soon = Timestamp::now() + Duration::from_millis(300);
    let still = Arc::new(Still::new(Some(soon)));
    let id = still.0.id.clone();
    let counting = Counting::new(still.clone());
    let store = cached(counting.clone(), still, &CacheConfig::default());
    let call = call();
    let mut kept = 0;
    loop {
        let found = store.search(&call, search()).await.unwrap().memories.len();
        let searched = counting.reads();
        store.get(&call, get(&id)).await.unwrap();
        let read = counting.reads();
        if Timestamp::now() > soon {
            break;
        }
        kept += u64::from(found == 1 && searched + read == 0);
    }
    assert!(kept > 0, "before that it is");
    // This store does not look at the time; the cache does.
    assert_eq!(store.search(&call, search()).await.unwrap().memories, []);
    store.get(&call, get(&id)).await.unwrap();
    assert_ne!(counting.reads(), 0, "the store is asked for the memory");
}
