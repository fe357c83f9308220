//! One map under one lock: correct, not fast.

use super::*;
use crate::{
    epoch::{Stamps, TagSet},
    sync::{AtomicU64, Mutex, Ordering, lock},
};
use std::hash::BuildHasher;

#[derive(Debug)]
struct Entry<V> {
    value: V,
    tags: TagSet,
    born: u64,
    stored_ms: u64,
    fresh_for_ms: u32,
    stale_for_ms: u32,
    hits: u32,
    bytes: u64,
}

#[derive(Debug)]
struct Map<K, V> {
    entries: hashbrown::HashMap<K, Entry<V>>,
    patterns: Vec<(String, u64, fn(&K) -> &str)>,
    stats: StoreStats,
}

#[derive(Debug)]
pub(super) struct Simple<K, V> {
    pub(super) epochs: Arc<Epochs>,
    bounds: Bounds,
    writes: AtomicU64,
    floor: AtomicU64,
    keys: Stamps,
    hasher: hashbrown::DefaultHashBuilder,
    map: Mutex<Map<K, V>>,
}

impl<K: Hash + Eq, V: Clone> Simple<K, V> {
    pub(super) fn new(bounds: &Bounds, epochs: Arc<Epochs>) -> Self {
        Self {
            epochs,
            bounds: *bounds,
            writes: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            keys: Stamps::new(14),
            hasher: hashbrown::DefaultHashBuilder::default(),
            map: Mutex::new(Map {
                entries: hashbrown::HashMap::new(),
                patterns: Vec::new(),
                stats: StoreStats::default(),
            }),
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        Ticket {
            epoch: self.epochs.now(),
            writes: self.writes.load(Ordering::Acquire),
        }
    }

    fn fingerprint<Q: Hash + ?Sized>(&self, key: &Q) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    fn is_dead(&self, map: &Map<K, V>, key: &K, tags: &[Tag], born: u64) -> bool {
        self.epochs.now();
        self.floor.load(Ordering::Acquire) > born
            || self.epochs.any_after(tags, born)
            || map
                .patterns
                .iter()
                .any(|(glob, at, text)| *at > born && matches(glob, text(key)))
    }

    pub(super) fn get<Q>(&self, key: &Q, now_ms: u64) -> Lookup<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let mut map = lock(&self.map);
        let Some((stored, entry)) = map.entries.get_key_value(key) else {
            map.stats.misses += 1;
            return Lookup::Miss;
        };
        let age_ms = now_ms.saturating_sub(entry.stored_ms);
        let past = |span: u64| age_ms >= span;
        let fresh = entry.fresh_for_ms == FOREVER_MS || !past(u64::from(entry.fresh_for_ms));
        let kept = fresh
            || entry.stale_for_ms == FOREVER_MS
            || !past(u64::from(entry.fresh_for_ms) + u64::from(entry.stale_for_ms));
        let dead = self.is_dead(&map, stored, entry.tags.as_slice(), entry.born);
        if dead || !kept {
            map.stats.misses += 1;
            if dead {
                map.stats.invalidated += 1
            } else {
                map.stats.expired += 1
            }
            map.entries.remove(key);
            return Lookup::Miss;
        }
        let entry = map.entries.get_mut(key).expect("it was there");
        let hit = Hit {
            value: entry.value.clone(),
            age_ms,
            fresh_for_ms: entry.fresh_for_ms,
            hits: entry.hits,
        };
        entry.hits = entry.hits.saturating_add(1);
        if fresh {
            map.stats.hits += 1;
            Lookup::Fresh(hit)
        } else {
            map.stats.stale_hits += 1;
            Lookup::Stale(hit)
        }
    }

    pub(super) fn insert(&self, key: K, value: V, put: &Put<'_>, now_ms: u64) -> Inserted {
        let print = self.fingerprint(&key);
        let mut map = lock(&self.map);
        let conflict = self.keys.is_after(print, put.ticket.writes);
        if put.origin == Origin::Write {
            self.keys
                .raise(print, self.writes.fetch_add(1, Ordering::AcqRel) + 1);
            if conflict {
                map.entries.remove(&key);
                map.stats.conflicts += 1;
                return Inserted::Conflict;
            }
        }
        if conflict || self.is_dead(&map, &key, put.tags, put.ticket.epoch) {
            map.stats.born_dead += 1;
            return Inserted::BornDead;
        }
        if map
            .entries
            .get(&key)
            .is_some_and(|old| old.born > put.ticket.epoch)
            && put.origin == Origin::Load
        {
            map.stats.superseded += 1;
            return Inserted::Superseded;
        }
        let bytes = put.heap_bytes + size_of::<(K, Entry<V>)>() as u64;
        if self.bounds.bytes_max.is_some_and(|max| bytes > max.get()) {
            map.entries.remove(&key);
            map.stats.too_large += 1;
            return Inserted::TooLarge;
        }
        let entry = Entry {
            value,
            tags: TagSet::new(put.tags),
            born: put.ticket.epoch,
            stored_ms: now_ms,
            fresh_for_ms: put.fresh_for_ms,
            stale_for_ms: put.stale_for_ms,
            hits: 0,
            bytes,
        };
        map.stats.inserts += 1;
        map.entries.insert(key, entry);
        while self
            .bounds
            .entries_max
            .is_some_and(|max| map.entries.len() as u64 > max.get())
            || self
                .bounds
                .bytes_max
                .is_some_and(|max| total(&map.entries) > max.get())
        {
            let mut first = true;
            map.entries.retain(|_, _| !std::mem::take(&mut first));
            map.stats.evicted += 1;
        }
        Inserted::Stored
    }

    pub(super) fn is_live(&self, ticket: Ticket, key: &K, tags: &[Tag]) -> bool {
        !self.keys.is_after(self.fingerprint(key), ticket.writes)
            && !self.is_dead(&lock(&self.map), key, tags, ticket.epoch)
    }

    pub(super) fn invalidate_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let mut map = lock(&self.map);
        self.keys.raise(
            self.fingerprint(key),
            self.writes.fetch_add(1, Ordering::AcqRel) + 1,
        );
        map.stats.key_invalidations += 1;
        map.entries.remove(key).is_some()
    }

    pub(super) fn invalidate_pattern(&self, glob: &str)
    where
        K: AsRef<str>,
    {
        let mut map = lock(&self.map);
        self.epochs.publish(|epoch| {
            map.patterns
                .push((glob.to_owned(), epoch, |key| key.as_ref()))
        });
    }

    pub(super) fn clear(&self) {
        self.epochs.publish(|epoch| {
            self.floor.fetch_max(epoch, Ordering::AcqRel);
        });
    }

    pub(super) fn sweep_step(&self, _budget: usize, _now_ms: u64) -> Swept {
        let mut map = lock(&self.map);
        let examined = map.entries.len();
        let mut entries = std::mem::take(&mut map.entries);
        entries.retain(|key, entry| !self.is_dead(&map, key, entry.tags.as_slice(), entry.born));
        map.entries = entries;
        Swept {
            examined,
            removed: examined - map.entries.len(),
            wrapped: true,
        }
    }

    pub(super) fn len(&self) -> u64 {
        lock(&self.map).entries.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        total(&lock(&self.map).entries)
    }

    pub(super) fn stats(&self) -> StoreStats {
        let map = lock(&self.map);
        let (entries, bytes) = (map.entries.len() as u64, total(&map.entries));
        StoreStats {
            entries,
            bytes,
            ..map.stats
        }
    }
}

fn total<K, V>(entries: &hashbrown::HashMap<K, Entry<V>>) -> u64 {
    entries.values().map(|entry| entry.bytes).sum()
}

fn matches(glob: &str, text: &str) -> bool {
    match glob.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len())
            .filter(|&at| text.is_char_boundary(at))
            .any(|at| matches(&glob[1..], &text[at..])),
        Some(c) => text.starts_with(c) && matches(&glob[c.len_utf8()..], &text[c.len_utf8()..]),
    }
}
