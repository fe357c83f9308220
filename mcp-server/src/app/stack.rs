//! What stands in front of a store.

use std::sync::Arc;

use mcp_cache::CacheEventBus;

use super::{BuildError, store::Store};
use crate::{
    adapters::{
        BatchedStore, CachedStore, GuardedStore, OptimisedManager, PromptStore, RepeatableStore,
    },
    config::Config,
    context::{ManagerKind, StandardManager},
    ports::{CacheControl, ContextManager, ContextStore, MemoryStore, Observed},
};

/// The parts that say how they do, and the caches among them.
#[derive(Default)]
pub(super) struct ObservedParts {
    pub(super) parts: Vec<Arc<dyn Observed>>,
    pub(super) caches: Vec<Arc<dyn CacheControl>>,
}

impl ObservedParts {
    pub(super) fn push(&mut self, part: Arc<dyn Observed>) {
        self.parts.push(part);
    }

    pub(super) fn push_cache<C: Observed + CacheControl + 'static>(&mut self, cache: Arc<C>) {
        self.parts.push(cache.clone());
        self.caches.push(cache);
    }
}

/// The store with what the configuration puts around it, the innermost first.
pub(super) fn memory_stack(
    store: &Store,
    batched: Option<Arc<BatchedStore>>,
    bus: &CacheEventBus,
    config: &Config,
    observed: &mut ObservedParts,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    let mut stack: Arc<dyn MemoryStore> = match batched {
        Some(batched) => {
            observed.push(batched.clone());
            batched
        }
        None => store.memories.clone(),
    };
    let memory = &config.memory;
    if config.safe_mode {
        return Ok(Arc::new(RepeatableStore::new(stack)));
    }
    stack = Arc::new(PromptStore::new(stack, memory.operation_timeout));
    stack = Arc::new(RepeatableStore::new(stack));
    if memory.circuit_breaker.enabled {
        let guarded = GuardedStore::new(stack, &memory.circuit_breaker)?;
        let guarded = Arc::new(match store.reads_apart {
            true => guarded.reads_apart(),
            false => guarded,
        });
        observed.push(guarded.clone());
        stack = guarded;
    }
    if memory.cache.enabled {
        let bytes_max = memory.answer_bytes_max();
        let cached = CachedStore::new(stack, store.feed.clone(), bus, bytes_max, &memory.cache)
            .map_err(|source| BuildError::Cache {
                section: "memory.cache",
                source,
            })?;
        let cached = Arc::new(cached.answering_within(memory.operation_timeout));
        observed.push_cache(cached.clone());
        stack = cached;
    }
    Ok(stack)
}

/// The manager that the configuration asks for.
pub(super) fn context_manager(
    store: Arc<dyn ContextStore>,
    config: &Config,
    observed: &mut ObservedParts,
) -> Result<Arc<dyn ContextManager>, BuildError> {
    let contexts = &config.contexts;
    if config.safe_mode || contexts.manager == ManagerKind::Standard {
        return Ok(Arc::new(StandardManager::new(store)));
    }
    match OptimisedManager::new(store, &contexts.cache, &contexts.warming) {
        Ok(manager) => {
            let manager = Arc::new(manager);
            observed.push_cache(manager.clone());
            Ok(manager)
        }
        Err(source) => Err(BuildError::Cache {
            section: "contexts.cache",
            source,
        }),
    }
}
