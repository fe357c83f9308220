//! A store that counts who reaches it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use mcp_server::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
        Update, Updated,
    },
    ports::MemoryStore,
};

pub(super) struct Counting {
    pub(super) store: Arc<dyn MemoryStore>,
    reads: AtomicU64,
}

impl Counting {
    pub(super) fn new(store: Arc<dyn MemoryStore>) -> Arc<Self> {
        let reads = AtomicU64::new(0);
        Arc::new(Self { store, reads })
    }

    /// How many reads came through since the last time this was asked.
    pub(super) fn reads(&self) -> u64 {
        self.reads.swap(0, Ordering::Relaxed)
    }

    fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl MemoryStore for Counting {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.store.add(call, add).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.read();
        self.store.search(call, search).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        self.read();
        self.store.get(call, get).await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.store.update(call, update).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.store.delete(call, delete).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        self.read();
        self.store.batch(call, operations).await
    }
}
