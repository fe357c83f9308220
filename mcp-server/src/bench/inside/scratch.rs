//! Memories of a benchmark's own, and their end.

use std::sync::{Mutex, PoisonError};

use serde_json::Map;
use tokio::time::Instant;

use super::Extent;
use crate::{
    call::{Call, Notes},
    memory::{Add, Delete, MemoryError, MemoryId, MemoryService, Operation, Owner},
    tools::{self, Registry},
};

/// Memories of a benchmark that was cut off disappear after so many seconds.
const TTL_SECONDS: u64 = 600;
/// Memories that are deleted at once.
const DELETED_AT_ONCE: usize = 50;

/// What a benchmark works with.
pub(super) struct Scratch {
    pub(super) memory: MemoryService,
    pub(super) tools: Registry,
    pub(super) extent: Extent,
    /// In the name of an owner that nobody is.
    call: Call,
    deadline: Instant,
    /// Where they are, and a word that only they have.
    name: String,
    added: Mutex<Vec<MemoryId>>,
}

impl Scratch {
    pub(super) fn new(
        memory: &MemoryService,
        call: &Call,
        extent: Extent,
        deadline: Instant,
    ) -> Self {
        let number = MemoryId::generate();
        let name = format!("benchmark{}", number.as_str().replace('-', ""));
        Self {
            memory: memory.clone(),
            tools: tools::memory_tools(memory),
            extent,
            // Nobody's searches meet them, not even if they are left behind for a while.
            call: Call {
                owner: Owner::new(&name),
                ..call.clone()
            },
            deadline,
            name,
            added: Mutex::new(Vec::new()),
        }
    }

    /// Whether the time for the benchmark is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// A call with notes of its own; `past_cache`: it is not answered by a cache.
    pub(super) fn call(&self, past_cache: bool) -> Call {
        Call {
            bypass_cache: past_cache,
            notes: std::sync::Arc::<Notes>::default(),
            deadline: None,
            exchange: None,
            ..self.call.clone()
        }
    }

    /// The namespace, which is also a word of every text.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A text that holds a word of its own.
    pub(super) fn text(&self, number: usize) -> String {
        format!(
            "{} sample{number} the agent notes what it has found out about the deployment, the \
             failing test and the decision that was made, so that it can be recalled later",
            self.name
        )
    }

    /// A memory of the benchmark.
    pub(super) fn add(&self, number: usize) -> Add {
        Add {
            content: self.text(number),
            namespace: Some(self.name.clone()),
            tags: vec!["benchmark".to_owned()],
            metadata: Map::new(),
            ttl_seconds: Some(TTL_SECONDS),
            id: None,
        }
    }

    /// Notes what is to be deleted in the end.
    pub(super) fn added(&self, id: MemoryId) {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.push(id);
    }

    /// Deletes what is left of the memories, and returns how many could not be.
    pub(super) async fn remove(self) -> u64 {
        let call = self.call(false);
        let memory = self.memory;
        let added = self.added.into_inner();
        let added = added.unwrap_or_else(PoisonError::into_inner);
        let mut left = 0;
        for ids in added.chunks(DELETED_AT_ONCE) {
            let delete = |id: &MemoryId| Ok(Operation::Delete(Delete { id: id.clone() }));
            let deleted = memory.batch(&call, ids.iter().map(delete).collect()).await;
            left += match deleted {
                Ok(results) => results
                    .iter()
                    .filter(|result| !matches!(result, Ok(_) | Err(MemoryError::NotFound { .. })))
                    .count() as u64,
                Err(_) => ids.len() as u64,
            };
        }
        left
    }
}
