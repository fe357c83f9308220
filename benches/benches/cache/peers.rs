//! The peers, bounded as ours is.

#[path = "fetch_peers.rs"]
mod fetch_peers;

pub(crate) use fetch_peers::{check_peers, fetch_peers};

use crate::rival::{Make, Rival, Room};
use bytes::Bytes;
use foyer_memory::{CacheBuilder, EvictionConfig, S3FifoConfig};

/// Key and value in place, and what a peer of ours adds, are left out: each
/// bounds what it can count.
fn weight(value: &Bytes) -> u64 {
    value.len() as u64 + 8
}

pub(crate) const PEERS: &[Make] = &[
    ("quick_cache", QuickCache::make),
    ("moka", Moka::make),
    ("foyer, s3fifo", Foyer::make),
];

#[derive(Clone)]
struct Weigher {
    by_bytes: bool,
}

impl quick_cache::Weighter<u64, Bytes> for Weigher {
    fn weight(&self, _: &u64, value: &Bytes) -> u64 {
        if self.by_bytes { weight(value) } else { 1 }
    }
}

struct QuickCache(quick_cache::sync::Cache<u64, Bytes, Weigher>);

impl QuickCache {
    fn make(room: Room) -> Box<dyn Rival> {
        let (entries, capacity, by_bytes) = match room {
            Room::Entries(max) => (max, max, false),
            Room::Bytes(max, entries) => (entries, max, true),
        };
        let cache = quick_cache::sync::Cache::with_weighter(
            entries as usize,
            capacity,
            Weigher { by_bytes },
        );
        Box::new(Self(cache))
    }
}

impl Rival for QuickCache {
    #[inline]
    fn get(&self, key: u64) -> Option<Bytes> {
        self.0.get(&key)
    }

    #[inline]
    fn put(&self, key: u64, value: Bytes) {
        self.0.insert(key, value);
    }
}

struct Moka(moka::sync::Cache<u64, Bytes>);

impl Moka {
    fn make(room: Room) -> Box<dyn Rival> {
        let cache = match room {
            Room::Entries(max) => moka::sync::Cache::new(max),
            Room::Bytes(max, _) => moka::sync::Cache::builder()
                .max_capacity(max)
                .weigher(|_, value| u32::try_from(weight(value)).unwrap_or(u32::MAX))
                .build(),
        };
        Box::new(Self(cache))
    }
}

impl Rival for Moka {
    #[inline]
    fn get(&self, key: u64) -> Option<Bytes> {
        self.0.get(&key)
    }

    #[inline]
    fn put(&self, key: u64, value: Bytes) {
        self.0.insert(key, value);
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

struct Foyer(foyer_memory::Cache<u64, Bytes>);

impl Foyer {
    fn make(room: Room) -> Box<dyn Rival> {
        let (capacity, by_bytes) = match room {
            Room::Entries(max) => (max, false),
            Room::Bytes(max, _) => (max, true),
        };
        let cache = CacheBuilder::new(capacity as usize)
            .with_eviction_config(EvictionConfig::S3Fifo(S3FifoConfig::default()))
            .with_weighter(
                move |_: &u64, value: &Bytes| {
                    if by_bytes { weight(value) as usize } else { 1 }
                },
            )
            .build();
        Box::new(Self(cache))
    }
}

impl Rival for Foyer {
    #[inline]
    fn get(&self, key: u64) -> Option<Bytes> {
        self.0.get(&key).map(|entry| entry.value().clone())
    }

    #[inline]
    fn put(&self, key: u64, value: Bytes) {
        self.0.insert(key, value);
    }
}
