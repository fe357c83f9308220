//! A store of contexts that fails, waits and forgets as it is told, and counts who asks.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use mcp_server::{
    call::Call,
    context::{
        Context, ContextChanges, ContextError, ContextId, ContextKey, Get, Kept, List, Listed, Put,
    },
    memory::MemoryError,
    ports::ContextStore,
};
use tokio::sync::Semaphore;

/// Contexts by their ids, whoever owns them.
pub(super) struct Shelf {
    pub(super) contexts: Mutex<BTreeMap<String, Kept>>,
    pub(super) revision: AtomicU64,
    /// Whether the store has marks.
    pub(super) marks: bool,
    pub(super) down: AtomicBool,
    /// Reads wait for it.
    pub(super) open: Semaphore,
    pub(super) reads: AtomicU64,
    pub(super) asked_for_changes: AtomicU64,
    pub(super) counted: Mutex<BTreeMap<String, u64>>,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self {
            contexts: Mutex::default(),
            revision: AtomicU64::new(0),
            marks: true,
            down: AtomicBool::new(false),
            open: Semaphore::new(1_000),
            reads: AtomicU64::new(0),
            asked_for_changes: AtomicU64::new(0),
            counted: Mutex::default(),
        }
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// As somebody else would.
    pub(super) fn put_behind(&self, put: Put) -> Kept {
        let now = Timestamp::now();
        let revision = self.revision.fetch_add(1, Ordering::SeqCst) + 1;
        let context = Context {
            id: put.id.unwrap(),
            class: put.class,
            tokens: put.content.tokens(),
            content: put.content,
            tags: put.tags,
            version: revision,
            created_at: now,
            updated_at: now,
            expires_at: None,
        };
        let kept = Kept { context, revision };
        let mut contexts = self.contexts.lock().unwrap();
        contexts.insert(kept.context.id.to_string(), kept.clone());
        kept
    }

    fn answer(&self) -> Result<(), ContextError> {
        match self.down.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(ContextError::Store(MemoryError::Unavailable {
                reason: "down".to_owned(),
            })),
        }
    }
}

pub(super) fn key(call: &Call, id: &str) -> ContextKey {
    ContextKey {
        owner: call.owner.clone(),
        id: ContextId::from(id.to_owned()),
    }
}

#[async_trait]
impl ContextStore for Shelf {
    async fn put(&self, _: &Call, put: Put) -> Result<Kept, ContextError> {
        self.answer()?;
        Ok(self.put_behind(put))
    }

    async fn get(&self, _: &Call, get: Get) -> Result<Kept, ContextError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        self.open.add_permits(1);
        self.answer()?;
        let found = self.contexts.lock().unwrap().get(get.id.as_str()).cloned();
        found.ok_or(ContextError::NotFound { id: get.id })
    }

    async fn list(&self, _: &Call, _: List) -> Result<Listed, ContextError> {
        self.answer().map(|()| Listed::default())
    }

    fn mark(&self) -> Option<u64> {
        let mark = self.revision.load(Ordering::SeqCst) + 1;
        self.marks.then_some(mark)
    }

    async fn changes_after(&self, revision: u64) -> Result<ContextChanges, ContextError> {
        self.asked_for_changes.fetch_add(1, Ordering::SeqCst);
        self.answer()?;
        let contexts = self.contexts.lock().unwrap();
        let newer = contexts.values().filter(|kept| kept.revision > revision);
        Ok(ContextChanges {
            puts: newer
                .map(|kept| (key(&Call::local(), kept.context.id.as_str()), kept.revision))
                .collect(),
            complete: true,
            revision: self.revision.load(Ordering::SeqCst),
        })
    }

    async fn hottest(&self, recent: u32, _: u32) -> Result<Vec<ContextKey>, ContextError> {
        self.answer()?;
        let contexts = self.contexts.lock().unwrap();
        let ids = contexts.keys().take(recent as usize);
        Ok(ids.map(|id| key(&Call::local(), id)).collect())
    }

    async fn count_reads(&self, reads: Vec<(ContextKey, u64)>) -> Result<(), ContextError> {
        self.answer()?;
        let mut counted = self.counted.lock().unwrap();
        for (key, reads) in reads {
            *counted.entry(key.id.to_string()).or_default() += reads;
        }
        Ok(())
    }
}
