//! The synchronous cache: a sharded table under the rules of the epochs.
//!
//! `now_ms` is an argument everywhere: milliseconds of any clock that does not
//! go back. A store reads no clock, starts no thread and never holds more than
//! one shard's lock.

mod bounds;
mod entry;
mod lend;
mod stats;
mod sweep;
mod write;

pub use bounds::Bounds;
pub use entry::{FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Swept};
pub use stats::StoreStats;

use crate::{
    Epochs, Tag, Ticket,
    epoch::{Glob, Ledger},
    sync::{Mutex, MutexGuard, Padded, lock},
    table::{Front, Now, Phase, Shard, Trash},
};
use hashbrown::{DefaultHashBuilder, Equivalent};
use lend::Lent;
use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};
use sweep::Sweep;

/// A bounded map in memory with tags, deadlines, and no stale read.
///
/// Once an invalidation of any kind has returned, no read that begins later
/// sees a value that was loaded before it, whether the value was in the store
/// or still on its way there.
#[derive(Debug)]
pub struct Store<K, V> {
    shards: Box<[Locked<K, V>]>,
    hasher: DefaultHashBuilder,
    ledger: Ledger<K>,
    sweep: Mutex<Sweep>,
    lent: Lent,
}

type Locked<K, V> = Padded<Mutex<Shard<K, V>>>;

/// A key's hash: the low bits choose the shard, the upper half is what the
/// table and the stamps use.
#[derive(Debug, Clone, Copy)]
struct Hashed(u64);

impl Hashed {
    #[inline]
    fn print(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// An empty store; `epochs` may be shared with other stores.
    #[must_use]
    pub fn new(bounds: &Bounds, epochs: Arc<Epochs>) -> Self {
        let shards = bounds.shard_count();
        let shard = |n| Padded(Mutex::new(Shard::new(bounds.limit(n, shards))));
        Self {
            shards: (0..shards).map(shard).collect(),
            hasher: DefaultHashBuilder::default(),
            ledger: Ledger::new(epochs),
            sweep: Mutex::new(Sweep::default()),
            lent: Lent::new(bounds.bytes_max, shards),
        }
    }

    /// The epochs that this store obeys.
    #[must_use]
    pub fn epochs(&self) -> &Arc<Epochs> {
        &self.ledger.epochs
    }

    /// To be taken before the source is read.
    #[inline]
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ledger.ticket()
    }

    /// What is known about `key`. A dead entry that is met is removed, unless
    /// it was put there to be kept.
    #[inline]
    pub fn get<Q>(&self, key: &Q, now_ms: u64) -> Lookup<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let now = self.now(now_ms);
        let mut shard = self.lock(hash);
        let Some(at) = shard.find(hash.print(), key) else {
            shard.reads.misses += 1;
            return Lookup::Miss;
        };
        let turn = shard.reads.hits;
        let front = shard.front_mut(at);
        if front.head.is_fresh(now_ms)
            && front.head.checked == now.epoch
            && let Some(hit) = hit(front, turn, now_ms)
        {
            shard.reads.hits = turn + 1;
            return Lookup::Fresh(hit);
        }
        look(shard, at, &now)
    }

    /// The value of `key` even if it was invalidated, as long as its spans last and
    /// it was put with `keep_invalidated`; for a caller that prefers an old
    /// answer to an error, and says so. Counts as no read.
    pub fn last_known<Q>(&self, key: &Q, now_ms: u64) -> Option<Hit<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.lock(hash);
        let at = shard.find(hash.print(), key)?;
        let turn = shard.reads.hits;
        let slot = shard.slot(at);
        let kept = slot.tail.keep_invalidated && slot.phase(now_ms) != Phase::Over;
        if kept {
            hit(shard.front_mut(at), turn, now_ms)
        } else {
            None
        }
    }

    /// Whether a load that took this ticket may still be served to everyone:
    /// what [`insert`](Self::insert) would ask now. Tags that are not known yet
    /// are left out.
    #[must_use]
    pub fn is_live(&self, ticket: Ticket, key: &K, tags: &[Tag]) -> bool {
        let hash = self.hash(key);
        let epoch = self.ledger.epochs.now();
        !self.ledger.is_overtaken(hash.print(), ticket)
            && self.ledger.admits(key, tags, ticket, epoch)
    }

    /// Invalidates everything that carries one of the tags, in every store of
    /// these epochs. See [`Epochs::invalidate`].
    pub fn invalidate_tags(&self, tags: &[Tag]) {
        self.ledger.epochs.invalidate(tags);
    }

    /// Invalidates every key that matches the glob, whether it is here or on
    /// its way: `*` is any text, `?` one character, and `\` takes the next
    /// one literally.
    ///
    /// An entry meets the pattern when it is next looked at. Up to 256 patterns
    /// wait for that; beyond, the oldest one counts for every key that
    /// has not met it, which costs misses. A whole round of
    /// [`sweep_step`](Self::sweep_step) lets all earlier ones go.
    pub fn invalidate_pattern(&self, glob: &str)
    where
        K: AsRef<str>,
    {
        self.ledger
            .invalidate_pattern(Glob::new(glob), |key| key.as_ref());
    }

    /// Invalidates everything in this store, at once. The memory comes back by
    /// [`sweep_step`](Self::sweep_step) and by use.
    pub fn clear(&self) {
        self.ledger.invalidate_all();
    }

    /// Entries, dead ones that nobody has met yet included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| lock(&shard.0).entries())
            .sum()
    }

    /// Places for entries, free ones included: what a round of the sweep looks at.
    pub(crate) fn slots(&self) -> u64 {
        let slots = |shard: &Locked<K, V>| lock(&shard.0).slots() as u64;
        self.shards.iter().map(slots).sum()
    }

    /// Whether there is no entry, not even a dead one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes by the store's own account: keys, values and overhead.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| lock(&shard.0).bytes()).sum()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats {
            patterns_pending: self.ledger.patterns_pending(),
            ..StoreStats::default()
        };
        for shard in &self.shards {
            let shard = lock(&shard.0);
            stats.add(shard.reads, &shard.counters);
            stats.entries += shard.entries();
            stats.bytes += shard.bytes();
        }
        stats
    }

    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> Hashed {
        Hashed(self.hasher.hash_one(key))
    }

    #[inline]
    fn lock(&self, hash: Hashed) -> MutexGuard<'_, Shard<K, V>> {
        lock(&self.shards[self.home(hash)].0)
    }

    /// The number of a key's shard.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the mask is smaller")]
    fn home(&self, hash: Hashed) -> usize {
        // The number of shards is a power of two.
        hash.0 as usize & (self.shards.len() - 1)
    }

    #[inline]
    fn now(&self, ms: u64) -> Now<'_, K> {
        Now {
            ledger: &self.ledger,
            epoch: self.ledger.epochs.now(),
            ms,
        }
    }
}

/// Counts the read and clones the value.
#[inline]
fn hit<K, V: Clone>(front: &mut Front<K, V>, turn: u64, now_ms: u64) -> Option<Hit<V>> {
    let (_, value) = front.item.as_ref()?;
    let hit = Hit {
        value: value.clone(),
        age_ms: front.head.age_ms(now_ms),
        fresh_for_ms: front.head.fresh_for_ms,
        hits: front.head.uses.reads(),
    };
    front.head.uses.count_read(turn);
    Some(hit)
}

/// The first read after something was invalidated, or of what is not fresh any
/// more: it may be served, or it is removed, and dropped after the lock is
/// released.
#[cold]
fn look<K, V: Clone>(
    mut shard: MutexGuard<'_, Shard<K, V>>,
    at: u32,
    now: &Now<'_, K>,
) -> Lookup<V> {
    let turn = shard.reads.hits;
    let mut slot = shard.slot(at);
    let phase = slot.phase(now.ms);
    if phase != Phase::Over
        && slot.is_live(now)
        && let Some(hit) = hit(shard.front_mut(at), turn, now.ms)
    {
        if phase == Phase::Fresh {
            shard.reads.hits += 1;
            return Lookup::Fresh(hit);
        }
        shard.counters.stale_hits += 1;
        return Lookup::Stale(hit);
    }
    let mut trash = Trash::new();
    shard.reads.misses += 1;
    shard.discard_unless_kept(at, now, &mut trash);
    drop(shard);
    Lookup::Miss
}

#[cfg(all(test, mcp_loom))]
mod loom_models;
