//! What a shard counts, under its lock: exact, and free of atomics.

/// The frequent ones.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reads {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// Events since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) stale_hits: u64,
    pub(crate) inserts: u64,
    pub(crate) born_dead: u64,
    pub(crate) superseded: u64,
    pub(crate) conflicts: u64,
    pub(crate) too_large: u64,
    pub(crate) key_invalidations: u64,
    pub(crate) evicted: u64,
    pub(crate) expired: u64,
    pub(crate) invalidated: u64,
    pub(crate) replaced: u64,
}
