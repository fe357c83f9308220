//! Counters pulled as one snapshot.

use crate::StoreStats;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// A cache's counters at one moment: exact when nothing is under way, and
/// otherwise off by the calls that are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheStats {
    /// Look-ups answered with a fresh value.
    pub hits: u64,
    /// Look-ups that found nothing that was served at once or on error.
    pub misses: u64,
    /// Look-ups answered with a stale value.
    pub stale_serves: u64,
    /// Calls past the cache.
    pub bypassed: u64,
    /// Loads that were begun, by whatever they were caused.
    pub loads: u64,
    /// Loads that ended with an error.
    pub load_errors: u64,
    /// Loads that were dropped at their hard deadline.
    pub load_timeouts: u64,
    /// Loads that were begun in the background.
    pub refreshes: u64,
    /// Loads in the background that were not begun because of
    /// [`background_max`](crate::Config::background_max).
    pub refreshes_shed: u64,
    /// Callers that got the value or error of another caller's load.
    pub coalesced: u64,
    /// Callers that got an error that was kept.
    pub error_hits: u64,
    /// Values that were not stored because of an invalidation since their load
    /// began.
    pub born_dead: u64,
    /// Writes that overlapped with another write of their key; nothing is kept of
    /// either.
    pub conflicts: u64,
    /// Values that were too large.
    pub too_large: u64,
    /// Values that were stored.
    pub inserts: u64,
    /// Invalidations by this cache's methods, one for each call.
    pub invalidations: u64,
    /// Entries that were removed.
    pub evictions: Evictions,
    /// Keys that are loaded now.
    pub loading: u64,
    /// Entries now, dead ones that nobody has met yet included.
    pub entries: u64,
    /// Bytes now, by the cache's own account: keys, values and overhead.
    pub memory_usage: u64,
}

/// Entries that were removed, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Evictions {
    /// To make room.
    pub capacity: u64,
    /// Their time was over.
    pub expired: u64,
    /// They were invalidated.
    pub invalidated: u64,
    /// A newer value took their place.
    pub replaced: u64,
}

impl CacheStats {
    /// The share of look-ups that were answered with a fresh value, 0 to 1;
    /// 0 if there were none.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.hits + self.misses + self.stale_serves;
        match lookups {
            0 => 0.0,
            _ => self.hits as f64 / lookups as f64,
        }
    }
}

/// What the store does not count. Only loads and what is rarer write here.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stale_serves: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) loads: Counter,
    pub(crate) load_errors: Counter,
    pub(crate) load_timeouts: Counter,
    pub(crate) refreshes: Counter,
    pub(crate) refreshes_shed: Counter,
    pub(crate) coalesced: Counter,
    pub(crate) error_hits: Counter,
    pub(crate) invalidations: Counter,
    /// Look-ups of a leader after its miss: those that found a fresh value, a
    /// stale one, none.
    pub(crate) second_hits: Counter,
    pub(crate) second_stale: Counter,
    pub(crate) second_misses: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn snapshot(&self, store: &StoreStats, loading: usize) -> CacheStats {
        let stale_serves = self.stale_serves.value();
        let not_fresh = store.misses + store.stale_hits;
        let second = self.second_misses.value() + self.second_stale.value();
        CacheStats {
            hits: store.hits.saturating_sub(self.second_hits.value()),
            misses: not_fresh.saturating_sub(stale_serves + second),
            stale_serves,
            bypassed: self.bypassed.value(),
            loads: self.loads.value(),
            load_errors: self.load_errors.value(),
            load_timeouts: self.load_timeouts.value(),
            refreshes: self.refreshes.value(),
            refreshes_shed: self.refreshes_shed.value(),
            coalesced: self.coalesced.value(),
            error_hits: self.error_hits.value(),
            born_dead: store.born_dead,
            conflicts: store.conflicts,
            too_large: store.too_large,
            inserts: store.inserts,
            invalidations: self.invalidations.value(),
            evictions: Evictions {
                capacity: store.evicted,
                expired: store.expired,
                invalidated: store.invalidated,
                replaced: store.replaced,
            },
            loading: loading as u64,
            entries: store.entries,
            memory_usage: store.bytes,
        }
    }
}
