//! What the cache has brought.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::call::Call;

/// Counters since the start. A call counts once; a batch of reads is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CachedStats {
    /// Calls that were answered without reading the store.
    pub hits: u64,
    /// Calls that read the store since the cache had no answer.
    pub misses: u64,
    /// Searches that were brought up to date by what had changed since; among the hits, as a rule.
    pub followed: u64,
    /// Calls that went past the cache: they asked for that, or the changes could not be followed.
    pub bypassed: u64,
    /// Memories and searches in the cache.
    pub entries: u64,
    /// Their bytes, by the cache's own account.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) followed: Counter,
    pub(super) bypassed: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Counts a call that was answered from the cache, and notes it with the call.
    pub(super) fn hit(&self, call: &Call) {
        self.hits.add_one();
        call.notes.set_cached();
    }

    pub(super) fn snapshot(&self, cache: &mcp_cache::CacheStats) -> CachedStats {
        CachedStats {
            hits: self.hits.value(),
            misses: self.misses.value(),
            followed: self.followed.value(),
            bypassed: self.bypassed.value(),
            entries: cache.entries,
            bytes: cache.memory_usage,
        }
    }
}
