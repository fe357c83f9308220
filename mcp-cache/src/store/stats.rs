//! Counters pulled as one snapshot.

use crate::table::{Counters, Reads};
use serde::Serialize;

/// A store's counters since the start; exact, whatever the number of threads.
/// They are read shard by shard: under load they may differ by what happened
/// meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreStats {
    /// Reads answered with a fresh value.
    pub hits: u64,
    /// Reads answered with a stale one.
    pub stale_hits: u64,
    /// Reads that found nothing that may be served.
    pub misses: u64,
    /// Values stored, new or in place of an older one.
    pub inserts: u64,
    /// Inserts refused because of an invalidation since their ticket.
    pub born_dead: u64,
    /// Inserts refused because a later load was there first.
    pub superseded: u64,
    /// Write-throughs that overlapped with another write of their key.
    pub conflicts: u64,
    /// Inserts refused because of their size.
    pub too_large: u64,
    /// Invalidations of single keys.
    pub key_invalidations: u64,
    /// Entries removed to make room.
    pub evicted: u64,
    /// Entries removed because their time was over.
    pub expired: u64,
    /// Entries removed because they were invalidated, by whatever means.
    pub invalidated: u64,
    /// Entries replaced by a newer value.
    pub replaced: u64,
    /// Entries now, dead ones that nobody has met yet included.
    pub entries: u64,
    /// Bytes now, by the store's own account.
    pub bytes: u64,
    /// Patterns that some entry may not have met yet.
    pub patterns_pending: u64,
}

impl StoreStats {
    pub(crate) fn add(&mut self, reads: Reads, counters: &Counters) {
        self.hits += reads.hits;
        self.misses += reads.misses;
        self.stale_hits += counters.stale_hits;
        self.inserts += counters.inserts;
        self.born_dead += counters.born_dead;
        self.superseded += counters.superseded;
        self.conflicts += counters.conflicts;
        self.too_large += counters.too_large;
        self.key_invalidations += counters.key_invalidations;
        self.evicted += counters.evicted;
        self.expired += counters.expired;
        self.invalidated += counters.invalidated;
        self.replaced += counters.replaced;
    }
}
