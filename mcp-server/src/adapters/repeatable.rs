//! A memory store to which an add may be sent again when nobody knows what became of it.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, MemoryId, Operation, Outcome,
        Owner, Search, Update, Updated,
    },
    ports::MemoryStore,
};

/// How long an add is known again.
const MEMORY: Duration = Duration::from_secs(600);
/// The most adds that are known; one more takes the place of the oldest.
const LEN_MAX: usize = 4_000;

/// A [`MemoryStore`] that stores an add once, however often it is sent, until somebody was told that
/// it is stored: an add whose outcome nobody knows, or whose caller has gone, is remembered by its
/// contents, and the next equal one is given the same id. What has an id already is not stored again.
///
/// Two equal adds that are both acknowledged are two memories. The other writes need nothing of the
/// kind: an update sets what it sets, and what is deleted is gone.
pub struct RepeatableStore {
    store: Arc<dyn MemoryStore>,
    unsettled: Unsettled,
}

impl std::fmt::Debug for RepeatableStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepeatableStore")
            .field("unsettled", &self.unsettled.entries().len())
            .finish_non_exhaustive()
    }
}

impl RepeatableStore {
    /// Makes the adds of `store` repeatable.
    #[must_use]
    pub fn new(store: Arc<dyn MemoryStore>) -> Self {
        let unsettled = Unsettled::default();
        Self { store, unsettled }
    }
}

#[async_trait]
impl MemoryStore for RepeatableStore {
    async fn add(&self, call: &Call, mut add: Add) -> Result<Added, MemoryError> {
        let attempt = self.unsettled.attempt(&call.owner, &mut add);
        let result = self.store.add(call, add).await;
        attempt.answered(result.as_ref().err());
        result
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.store.search(call, search).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
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
        mut operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let mut attempts = Vec::new();
        for (place, operation) in operations.iter_mut().enumerate() {
            if let Operation::Add(add) = operation {
                attempts.push((place, self.unsettled.attempt(&call.owner, add)));
            }
        }
        let results = self.store.batch(call, operations).await;
        for (place, attempt) in attempts {
            let result = results.as_ref().map(|results| results.get(place));
            attempt.answered(match result {
                Ok(Some(result)) => result.as_ref().err(),
                Ok(None) => None,
                Err(error) => Some(error),
            });
        }
        results
    }
}

/// The adds of which nobody knows whether they are stored.
#[derive(Default)]
struct Unsettled {
    /// Oldest first.
    entries: Mutex<VecDeque<Entry>>,
    /// Seeded at random, so that nobody can choose two contents of one hash.
    hasher: RandomState,
}

struct Entry {
    since: Instant,
    contents: u64,
    id: MemoryId,
}

impl Unsettled {
    /// Gives the add the id of an earlier attempt at the same, or a new one.
    fn attempt(&self, owner: &Owner, add: &mut Add) -> Attempt<'_> {
        let contents = self.contents(owner, add);
        let earlier = self.take(contents);
        let repeated = earlier.is_some();
        let id = earlier.unwrap_or_else(MemoryId::generate);
        add.id = Some(id.clone());
        Attempt {
            unsettled: self,
            contents,
            id: Some(id),
            repeated,
        }
    }

    fn contents(&self, owner: &Owner, add: &Add) -> u64 {
        let Add {
            content,
            namespace,
            tags,
            metadata,
            ttl_seconds,
            id: _,
        } = add;
        let owner = owner.as_str();
        self.hasher
            .hash_one((owner, content, namespace, tags, metadata, ttl_seconds))
    }

    fn take(&self, contents: u64) -> Option<MemoryId> {
        let mut entries = self.entries();
        if entries.is_empty() {
            return None;
        }
        let now = Instant::now();
        while entries
            .front()
            .is_some_and(|first| now - first.since > MEMORY)
        {
            entries.pop_front();
        }
        let place = entries
            .iter()
            .position(|entry| entry.contents == contents)?;
        entries.remove(place).map(|entry| entry.id)
    }

    fn remember(&self, contents: u64, id: MemoryId) {
        let mut entries = self.entries();
        if entries.len() >= LEN_MAX {
            entries.pop_front();
        }
        entries.push_back(Entry {
            since: Instant::now(),
            contents,
            id,
        });
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An add on its way. Dropped without an answer, as when its caller has gone, it is remembered.
struct Attempt<'a> {
    unsettled: &'a Unsettled,
    contents: u64,
    /// `None` once it is settled.
    id: Option<MemoryId>,
    /// Whether an earlier attempt is unsettled, too.
    repeated: bool,
}

impl Attempt<'_> {
    /// Settles the attempt, unless the error leaves it open whether it, or an earlier one, is stored.
    fn answered(mut self, error: Option<&MemoryError>) {
        let open = match error {
            None => false,
            Some(MemoryError::OutcomeUnknown { .. }) => true,
            Some(_) => self.repeated,
        };
        if !open {
            self.id = None;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.unsettled.remember(self.contents, id);
        }
    }
}
