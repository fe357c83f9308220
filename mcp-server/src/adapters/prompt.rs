//! A memory store that answers in time, be it that it has no answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
        Update, Updated,
    },
    ports::MemoryStore,
};

/// How long after its deadline a store may still say what became of a write, or what a batch has
/// found until then.
const GRACE: Duration = Duration::from_millis(5);

/// A [`MemoryStore`] whose operations have a deadline, which the store knows of: it ends work that
/// would be late, and says so. Where it does not even do that, the caller is told that nobody knows.
pub struct PromptStore {
    store: Arc<dyn MemoryStore>,
    timeout: Duration,
}

impl std::fmt::Debug for PromptStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptStore")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl PromptStore {
    /// Gives every operation of `store` this much time.
    #[must_use]
    pub fn new(store: Arc<dyn MemoryStore>, timeout: Duration) -> Self {
        Self { store, timeout }
    }

    /// The call with its deadline, which is no later than the one that it may have already.
    fn timed(&self, call: &Call) -> (Call, Instant) {
        let deadline = Instant::now() + self.timeout;
        let deadline = call.deadline.map_or(deadline, |set| set.min(deadline));
        let mut call = call.clone();
        call.deadline = Some(deadline);
        (call, deadline)
    }

    async fn write<T>(
        &self,
        deadline: Instant,
        operation: impl Future<Output = Result<T, MemoryError>>,
    ) -> Result<T, MemoryError> {
        let silence = |_| {
            Err(MemoryError::OutcomeUnknown {
                reason: format!("the store did not answer within {:?}", self.timeout),
                late: true,
            })
        };
        timeout_at(deadline + GRACE, operation)
            .await
            .unwrap_or_else(silence)
    }
}

async fn read<T>(
    deadline: Instant,
    operation: impl Future<Output = Result<T, MemoryError>>,
) -> Result<T, MemoryError> {
    timeout_at(deadline, operation)
        .await
        .unwrap_or(Err(MemoryError::Timeout))
}

#[async_trait]
impl MemoryStore for PromptStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        let (call, deadline) = self.timed(call);
        self.write(deadline, self.store.add(&call, add)).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        let (call, deadline) = self.timed(call);
        read(deadline, self.store.search(&call, search)).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        let (call, deadline) = self.timed(call);
        read(deadline, self.store.get(&call, get)).await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        let (call, deadline) = self.timed(call);
        self.write(deadline, self.store.update(&call, update)).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        let (call, deadline) = self.timed(call);
        self.write(deadline, self.store.delete(&call, delete)).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let (call, deadline) = self.timed(call);
        let reads_only = operations.iter().all(Operation::is_read);
        let batch = self.store.batch(&call, operations);
        match reads_only {
            true => read(deadline + GRACE, batch).await,
            false => self.write(deadline, batch).await,
        }
    }
}
