//! A memory store whose writes are made durable together.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use mcp_batch::{BatchProcessor, Error, Overflow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
        Update, Updated, Write, Written,
    },
    ports::{GroupCommit, MemoryStore},
};

/// What an operation counts for beside its texts, in bytes: a row is written whatever is in it.
const OPERATION_BYTES: usize = 512;

/// How writes are put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Whether writes share transactions at all. Default true.
    pub enabled: bool,
    /// The most writes of one transaction. Default 64. Raising it lets more callers share one wait
    /// for the disk, and the first of them wait for the last.
    pub len_max: NonZeroUsize,
    /// The most text of one transaction, in bytes; every operation counts 512 more. Default 1 MiB.
    /// A larger write has a transaction of its own.
    pub bytes_max: NonZeroUsize,
    /// How long a write waits for company while the store is idle: a ceiling, a lone write does not
    /// wait. Default 50 ms.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// The most writes that wait; one more is refused at once. Default 1,000.
    pub queue_len_max: NonZeroUsize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            len_max: NonZeroUsize::new(64).expect("64 is not zero"),
            bytes_max: NonZeroUsize::new(1024 * 1024).expect("1 MiB is not zero"),
            window: Duration::from_millis(50),
            queue_len_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
        }
    }
}

impl BatchConfig {
    /// One transaction at a time, since a database has one writer; what comes meanwhile is the next.
    fn processor(&self) -> mcp_batch::Config {
        mcp_batch::Config {
            max_batch_size: self.len_max.get(),
            max_concurrent_batches: 1,
            window: self.window,
            queue_len_max: self.queue_len_max.get(),
            batch_bytes_max: Some(self.bytes_max.get() as u64),
            overflow: Overflow::Reject,
            adaptive_sizing: false,
            ..mcp_batch::Config::default()
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), mcp_batch::ConfigError> {
        self.processor().validate()
    }
}

/// A [`MemoryStore`] that collects the writes of all callers while a transaction is at work, and
/// makes them durable with the next one. Reads pass by.
pub struct BatchedStore {
    store: Arc<dyn GroupCommit>,
    writes: BatchProcessor<Write, Vec<Result<Outcome, MemoryError>>, MemoryError>,
}

impl std::fmt::Debug for BatchedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchedStore")
            .field("writes", &self.writes.stats())
            .finish_non_exhaustive()
    }
}

impl BatchedStore {
    /// Collects the writes to `store`, on the present runtime.
    ///
    /// # Errors
    ///
    /// As [`BatchConfig::validate`], or there is no runtime.
    pub fn new(
        store: Arc<dyn GroupCommit>,
        config: &BatchConfig,
    ) -> Result<Self, mcp_batch::ConfigError> {
        let committer = store.clone();
        let writes = BatchProcessor::builder(&config.processor())
            .weigh_by(|write: &Write| write.operations.iter().map(weight).sum::<usize>() as u64)
            .build(move |writes| {
                let committer = committer.clone();
                async move { committer.commit(writes).await }
            })?;
        Ok(Self { store, writes })
    }

    /// The counters of the writes at this moment; its batches are transactions.
    #[must_use]
    pub fn stats(&self) -> mcp_batch::Stats {
        self.writes.stats()
    }

    /// Takes no more writes, and waits until those that were taken are answered.
    pub async fn shutdown(&self) {
        self.writes.shutdown().await;
    }

    async fn write(&self, write: Write) -> Written {
        self.writes
            .submit(write)
            .await
            .map_err(|error| match error {
                Error::Item(error) => error,
                Error::Overloaded { limit } => MemoryError::Overloaded { waiting: limit },
                Error::Closed => MemoryError::Unavailable {
                    reason: "the store is shutting down".to_owned(),
                },
                // It may have been at work when the transaction was lost sight of.
                error => MemoryError::OutcomeUnknown {
                    reason: error.to_string(),
                    late: false,
                },
            })
    }

    async fn write_one<T>(&self, call: &Call, operation: Operation) -> Result<T, MemoryError>
    where
        T: TryFrom<Outcome, Error = MemoryError>,
    {
        Write::only(self.write(Write::one(call, operation)).await)
    }
}

fn weight(operation: &Operation) -> usize {
    let text = match operation {
        Operation::Add(add) => add.content.len(),
        Operation::Update(update) => update.content.as_ref().map_or(0, String::len),
        Operation::Search(_) | Operation::Get(_) | Operation::Delete(_) => 0,
    };
    OPERATION_BYTES + text
}

#[async_trait]
impl MemoryStore for BatchedStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.write_one(call, Operation::Add(add)).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.store.search(call, search).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        self.store.get(call, get).await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.write_one(call, Operation::Update(update)).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.write_one(call, Operation::Delete(delete)).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        if operations.iter().all(Operation::is_read) {
            return self.store.batch(call, operations).await;
        }
        let call = call.clone();
        self.write(Write { call, operations }).await
    }
}
