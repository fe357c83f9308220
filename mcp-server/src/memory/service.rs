//! The memory service: the one door through which tools reach a store.

use std::sync::Arc;

use super::{
    Add, Added, Delete, Deleted, Found, Get, Limits, Memory, MemoryError, Operation, Outcome,
    Search, Update, Updated, limits::check_id,
};
use crate::{call::Call, live::Live, ports::MemoryStore};

/// Checks every operation against the [`Limits`] and hands it to the store.
///
/// All methods are cancel safe: a dropped call either happened as a whole or not at all.
#[derive(Clone)]
pub struct MemoryService {
    store: Arc<dyn MemoryStore>,
    limits: Live<Limits>,
}

impl std::fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryService")
            .field("limits", &self.limits.load())
            .finish_non_exhaustive()
    }
}

impl MemoryService {
    /// A service in front of `store`, with limits that may be exchanged meanwhile.
    #[must_use]
    pub fn new(store: Arc<dyn MemoryStore>, limits: impl Into<Live<Limits>>) -> Self {
        Self {
            store,
            limits: limits.into(),
        }
    }

    /// Stores a memory; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`], or what the store says.
    pub async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.limits.load().check_add(&add)?;
        self.store.add(call, add).await
    }

    /// Finds memories, best match first.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`], or what the store says.
    pub async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.limits.load().check_search(&search)?;
        self.store.search(call, self.with_limit(search)).await
    }

    /// Reads one memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NotFound`], or what the store says.
    pub async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        check_id(&get.id)?;
        self.store.get(call, get).await
    }

    /// Changes one memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NotFound`], [`MemoryError::VersionConflict`], [`MemoryError::Invalid`], or
    /// what the store says.
    pub async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.limits.load().check_update(&update)?;
        self.store.update(call, update).await
    }

    /// Deletes one memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NotFound`], or what the store says.
    pub async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        check_id(&delete.id)?;
        self.store.delete(call, delete).await
    }

    /// Runs operations in order and answers each one by itself; an operation that fails, or that
    /// could not be read in the first place (`Err` in `operations`), leaves the others alone.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`] for an empty batch or one above the limit; then nothing was done.
    pub async fn batch(
        &self,
        call: &Call,
        operations: Vec<Result<Operation, MemoryError>>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        self.limits.load().check_batch_len(operations.len())?;
        let mut runnable = Vec::with_capacity(operations.len());
        // `None` marks the places that the store's answers fill, in order.
        let mut results = Vec::with_capacity(operations.len());
        for operation in operations {
            match operation.and_then(|operation| self.checked(operation)) {
                Ok(operation) => {
                    runnable.push(operation);
                    results.push(None);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let mut answers = match runnable.is_empty() {
            true => Vec::new(),
            false => self.store.batch(call, runnable).await?,
        }
        .into_iter();
        let unanswered = || {
            Err(MemoryError::Internal {
                reason: "the store left an operation of a batch unanswered".to_owned(),
            })
        };
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| answers.next().unwrap_or_else(unanswered)))
            .collect())
    }

    fn checked(&self, operation: Operation) -> Result<Operation, MemoryError> {
        self.limits.load().check(&operation)?;
        Ok(match operation {
            Operation::Search(search) => Operation::Search(self.with_limit(search)),
            other => other,
        })
    }

    fn with_limit(&self, mut search: Search) -> Search {
        search
            .limit
            .get_or_insert(self.limits.load().results_default);
        search
    }
}
