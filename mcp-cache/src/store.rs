//! The synchronous cache: a sharded table under the rules of the epochs.
//!
//! `now_ms` is an argument everywhere: milliseconds of any clock that does not
//! go back. A store reads no clock, starts no thread and never waits for more
//! than one shard's lock.

mod bounds;
mod entry;

pub use bounds::Bounds;
pub use entry::{FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Swept};

use crate::{Epochs, Tag, Ticket};
use hashbrown::Equivalent;
use std::{hash::Hash, sync::Arc};

/// A bounded map in memory with tags, deadlines, and no stale read.
///
/// Once an `invalidate` of any kind has returned, no read that begins later sees a
/// value that was loaded before it, whether the value was in the store or still
/// on its way there.
#[derive(Debug)]
pub struct Store<K, V> {
    inner: simple::Simple<K, V>,
}

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// An empty store; `epochs` may be shared with other stores.
    #[must_use]
    pub fn new(bounds: &Bounds, epochs: Arc<Epochs>) -> Self {
        Self {
            inner: simple::Simple::new(bounds, epochs),
        }
    }

    /// The epochs that this store obeys.
    pub fn epochs(&self) -> &Arc<Epochs> {
        &self.inner.epochs
    }

    /// To be taken before the source is read.
    #[inline]
    pub fn ticket(&self) -> Ticket {
        self.inner.ticket()
    }

    /// What is known about `key`. A dead entry that is met is removed.
    pub fn get<Q>(&self, key: &Q, now_ms: u64) -> Lookup<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.inner.get(key, now_ms)
    }

    /// Stores a value unless something that concerns it was invalidated since
    /// its ticket was taken.
    pub fn insert(&self, key: K, value: V, put: &Put<'_>, now_ms: u64) -> Inserted {
        self.inner.insert(key, value, put, now_ms)
    }

    /// Whether a load that took this ticket may still be served to everyone:
    /// what [`insert`](Self::insert) would ask now. Tags that are not known yet
    /// are left out.
    #[must_use]
    pub fn is_live(&self, ticket: Ticket, key: &K, tags: &[Tag]) -> bool {
        self.inner.is_live(ticket, key, tags)
    }

    /// Removes the key and dooms its loads in flight; whether it was there.
    pub fn invalidate_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.inner.invalidate_key(key)
    }

    /// Invalidates everything that carries one of the tags, in every store of
    /// these epochs. See [`Epochs::invalidate`].
    pub fn invalidate_tags(&self, tags: &[Tag]) {
        self.inner.epochs.invalidate(tags);
    }

    /// Invalidates every key that matches the glob (`*` is any text, `?` one
    /// character, `\` takes the next one literally), whether it is here or on its way.
    pub fn invalidate_pattern(&self, glob: &str)
    where
        K: AsRef<str>,
    {
        self.inner.invalidate_pattern(glob);
    }

    /// Invalidates everything in this store, at once. Memory is given back by
    /// [`sweep_step`](Self::sweep_step) and by use.
    pub fn clear(&self) {
        self.inner.clear();
    }

    /// Looks at about `budget` entries, removes the dead ones and goes on there
    /// the next time.
    pub fn sweep_step(&self, budget: usize, now_ms: u64) -> Swept {
        self.inner.sweep_step(budget, now_ms)
    }

    /// Entries, dead ones that nobody has met yet included.
    pub fn len(&self) -> u64 {
        self.inner.len()
    }

    /// Whether there is no entry, not even a dead one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes by the store's own account: keys, values and overhead.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    /// Counters since the start.
    pub fn stats(&self) -> StoreStats {
        self.inner.stats()
    }
}

/// A store's counters; exact, whatever the number of threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
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
    /// Write-throughs that overlapped with another write.
    pub conflicts: u64,
    /// Inserts refused because of their size.
    pub too_large: u64,
    /// Calls of `invalidate_key`.
    pub key_invalidations: u64,
    /// Entries removed to make room.
    pub evicted: u64,
    /// Entries removed because their time was over.
    pub expired: u64,
    /// Entries removed because they were invalidated, by whatever means.
    pub invalidated: u64,
    /// Entries replaced by a newer value.
    pub replaced: u64,
    /// Entries now, dead ones included.
    pub entries: u64,
    /// Bytes now.
    pub bytes: u64,
}

mod simple;
