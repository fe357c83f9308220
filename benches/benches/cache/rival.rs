//! What every cache in this bench can do, and ours doing it.

use bytes::Bytes;
use hashbrown::HashMap;
use mcp_cache::{Bounds, Epochs, FOREVER_MS, Lookup, Origin, Put, Store, Tag};
use std::{
    hash::BuildHasher,
    hint::black_box,
    num::NonZeroU64,
    sync::{Arc, PoisonError, RwLock},
};

/// A cache under test. The loops are inside, so that choosing the cache costs
/// nothing per call.
pub(crate) trait Rival: Send + Sync {
    fn get(&self, key: u64) -> Option<Bytes>;

    fn put(&self, key: u64, value: Bytes);

    /// Runs maintenance that the cache would do some time later.
    fn settle(&self) {}

    /// Reads all keys; how many were there.
    fn get_all(&self, keys: &[u64]) -> usize {
        keys.iter()
            .filter(|key| black_box(self.get(**key)).is_some())
            .count()
    }

    fn put_all(&self, keys: &[u64], value: &Bytes) {
        for key in keys {
            self.put(*key, value.clone());
        }
    }

    /// Reads each key and puts it if it is not there; how many were.
    fn read_through(&self, keys: &[u64], value: &Bytes) -> usize {
        let mut hits = 0;
        for key in keys {
            if self.get(*key).is_some() {
                hits += 1;
            } else {
                self.put(*key, value.clone());
            }
        }
        hits
    }
}

/// How a rival is made: by its name and by how many entries, or bytes, it may
/// hold.
pub(crate) type Make = (&'static str, fn(Room) -> Box<dyn Rival>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Room {
    Entries(u64),
    /// And how many entries are expected, which some peers want to know.
    Bytes(
        u64,
        #[cfg_attr(not(feature = "peers"), expect(dead_code, reason = "for peers"))] u64,
    ),
}

/// Ours, every entry with so many tags.
pub(crate) struct Ours<const TAGS: usize> {
    store: Store<u64, Bytes>,
    tags: Vec<[Tag; TAGS]>,
}

impl<const TAGS: usize> Ours<TAGS> {
    pub(crate) fn new(room: Room) -> Self {
        let mut bounds = Bounds::default();
        match room {
            Room::Entries(max) => bounds.entries_max = NonZeroU64::new(max),
            Room::Bytes(max, _) => bounds.bytes_max = NonZeroU64::new(max),
        }
        let epochs = Arc::new(Epochs::default());
        let tags = (0..1_000)
            .map(|group| std::array::from_fn(|n| epochs.tag(&format!("tag {group} {n}"))));
        Self {
            tags: tags.collect(),
            store: Store::new(&bounds, epochs),
        }
    }

    pub(crate) fn make(room: Room) -> Box<dyn Rival> {
        Box::new(Self::new(room))
    }
}

impl<const TAGS: usize> Rival for Ours<TAGS> {
    #[inline]
    fn get(&self, key: u64) -> Option<Bytes> {
        match self.store.get(&key, black_box(1)) {
            Lookup::Fresh(hit) => Some(hit.value),
            Lookup::Stale(_) | Lookup::Miss => None,
        }
    }

    #[inline]
    fn put(&self, key: u64, value: Bytes) {
        let put = Put {
            ticket: self.store.ticket(),
            origin: Origin::Load,
            tags: &self.tags[(key % 1_000) as usize],
            fresh_for_ms: FOREVER_MS,
            stale_for_ms: 0,
            heap_bytes: value.len() as u64,
            keep_invalidated: false,
        };
        let _ = black_box(self.store.insert(key, value, &put, black_box(1)));
    }
}

/// The floor: a map in shards that knows no eviction, no tags, no deadlines.
pub(crate) struct Floor {
    hasher: hashbrown::DefaultHashBuilder,
    shards: Vec<RwLock<HashMap<u64, Bytes>>>,
}

impl Floor {
    pub(crate) fn make(_: Room) -> Box<dyn Rival> {
        Box::new(Self {
            hasher: hashbrown::DefaultHashBuilder::default(),
            shards: (0..16).map(|_| RwLock::default()).collect(),
        })
    }

    fn shard(&self, key: u64) -> &RwLock<HashMap<u64, Bytes>> {
        &self.shards[(self.hasher.hash_one(key) >> 50) as usize % self.shards.len()]
    }
}

impl Rival for Floor {
    #[inline]
    fn get(&self, key: u64) -> Option<Bytes> {
        let shard = self
            .shard(key)
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        shard.get(&key).cloned()
    }

    #[inline]
    fn put(&self, key: u64, value: Bytes) {
        let mut shard = self
            .shard(key)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.insert(key, value);
    }
}
