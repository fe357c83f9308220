//! How much a store may hold.

use std::num::NonZeroU64;

/// The bounds of a store. Both are exact: they hold at every moment, with the
/// table's own overhead counted in bytes. They are split evenly among the
/// shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of keys, values and overhead; `None` is unbounded.
    pub bytes_max: Option<NonZeroU64>,
    /// Entries; `None` is unbounded.
    pub entries_max: Option<NonZeroU64>,
    /// Shards, a power of two; `None` chooses by the cores and the bounds. An
    /// entry larger than a shard's share of the bytes is refused.
    pub shards: Option<usize>,
}
