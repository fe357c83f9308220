//! How much a store may hold, and in how many shards.

use crate::table::Limit;
use std::{num::NonZeroU64, thread};

/// Shards that a core may keep busy at a time without two meeting often.
const SHARDS_PER_CORE: usize = 16;
const SHARDS_MAX: usize = 1024;
/// A shard below this many entries or bytes would be full while others have room.
const SHARD_ENTRIES_MIN: u64 = 512;
const SHARD_BYTES_MIN: u64 = 4 << 20;

/// The bounds of a store. Both are exact: they hold at every moment, with the
/// table's own overhead counted in bytes. They are split evenly among the
/// shards; for a value above a share of the bytes the others lend some of theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of keys, values and overhead; `None` is unbounded.
    pub bytes_max: Option<NonZeroU64>,
    /// Entries; `None` is unbounded.
    pub entries_max: Option<NonZeroU64>,
    /// Shards, brought to a power of two up to 1024; `None` chooses by the cores
    /// and the bounds. More shards let more threads pass each other; an entry
    /// above a shard's share of the bytes has to lock all of them, one by one, and one
    /// above half of all bytes is refused.
    pub shards: Option<usize>,
}

impl Bounds {
    /// How many shards, a power of two.
    pub(crate) fn shard_count(&self) -> usize {
        let wished = self.shards.unwrap_or_else(|| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let by = |max: Option<NonZeroU64>, min: u64| {
                max.map_or(u64::MAX, |max| (max.get() / min).max(1))
            };
            let room =
                by(self.bytes_max, SHARD_BYTES_MIN).min(by(self.entries_max, SHARD_ENTRIES_MIN));
            // Down to a power of two: what the room allows is not to be exceeded.
            let room = usize::try_from(room).unwrap_or(SHARDS_MAX).min(SHARDS_MAX);
            (cores * SHARDS_PER_CORE)
                .next_power_of_two()
                .min(1 << room.ilog2())
        });
        wished.clamp(1, SHARDS_MAX).next_power_of_two()
    }

    /// The bounds of the shard of this number. The shares add up to the whole.
    pub(crate) fn limit(&self, shard: usize, shards: usize) -> Limit {
        let (shard, shards) = (shard as u64, shards as u64);
        let share = |max: Option<NonZeroU64>| {
            max.map_or(u64::MAX, |max| {
                max.get() / shards + u64::from(shard < max.get() % shards)
            })
        };
        Limit::new(share(self.bytes_max), share(self.entries_max))
    }
}
