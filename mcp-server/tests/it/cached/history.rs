//! Concurrent writers and readers of several stacks on one file, and the checker of `mcp-cache` as
//! the judge: a read that began after a write was acknowledged must not be older.
//!
//! It can see: with `Follower::current` made to believe whatever version it has, it fails (done by
//! hand).

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mcp_cache::history::{Action, Op, check};
use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{Delete, Found, Memory, MemoryError, MemoryId, Search, Update},
    ports::MemoryStore,
};
use tokio::task::JoinSet;

use super::open;
use crate::{
    contract::{add, call, get, text},
    support::process::folder,
};

const KEYS: u32 = 24;
const WORKERS: u64 = 8;
const OPERATIONS: u64 = 400;
/// What a deleted memory is at.
const GONE: u64 = u64::MAX;

struct Shared {
    stores: Vec<Arc<dyn MemoryStore>>,
    ids: Vec<MemoryId>,
    call: Call,
    moments: AtomicU64,
}

/// The word that only memory `key` holds.
fn word(key: u32) -> String {
    format!("key{key}")
}

impl Shared {
    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    async fn operate(&self, key: u32, random: u64) -> Op {
        let store = &self.stores[(random >> 8) as usize % self.stores.len()];
        let called = self.moment();
        let action = match random % 100 {
            0..12 => self.update(store, key, random).await,
            12 if random.is_multiple_of(5) => self.delete(store, key).await,
            12..40 => Action::Read(version(
                store.get(&self.call, get(&self.ids[key as usize])).await,
            )),
            _ => self.search(store, key, random).await,
        };
        Op {
            called,
            returned: self.moment(),
            key,
            action,
        }
    }

    async fn update(&self, store: &Arc<dyn MemoryStore>, key: u32, random: u64) -> Action {
        let update = Update {
            id: self.ids[key as usize].clone(),
            content: Some(format!("{} sandpiper{} n{random}", word(key), random % 3)),
            tags: None,
            metadata: None,
            version: None,
        };
        match store.update(&self.call, update).await {
            Ok(updated) => Action::Invalidate(updated.version),
            Err(MemoryError::NotFound { .. }) => Action::Read(Some(GONE)),
            Err(error) => panic!("{error}"),
        }
    }

    async fn delete(&self, store: &Arc<dyn MemoryStore>, key: u32) -> Action {
        let id = self.ids[key as usize].clone();
        match store.delete(&self.call, Delete { id }).await {
            Ok(_) => Action::Invalidate(GONE),
            Err(MemoryError::NotFound { .. }) => Action::Read(Some(GONE)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Searches for the one memory, or for all of them by words that come and go.
    async fn search(&self, store: &Arc<dyn MemoryStore>, key: u32, random: u64) -> Action {
        let query = match random % 2 {
            0 => word(key),
            _ => "sandpiper0 sandpiper1 sandpiper2 original".to_owned(),
        };
        let search = Search {
            query,
            limit: Some(KEYS + 1),
            ..Search::default()
        };
        let Found { memories, .. } = store.search(&self.call, search).await.unwrap();
        let id = &self.ids[key as usize];
        let hit = memories.iter().find(|hit| hit.memory.id == *id);
        Action::Read(Some(hit.map_or(GONE, |hit| hit.memory.version)))
    }
}

fn version(read: Result<Arc<Memory>, MemoryError>) -> Option<u64> {
    match read {
        Ok(memory) => Some(memory.version),
        Err(MemoryError::NotFound { .. }) => Some(GONE),
        Err(error) => panic!("{error}"),
    }
}

async fn work(shared: Arc<Shared>, mut random: u64) -> Vec<Op> {
    let mut log = Vec::new();
    for _ in 0..OPERATIONS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = u32::try_from((random >> 32) % u64::from(KEYS)).unwrap();
        log.push(shared.operate(key, random >> 3).await);
    }
    log
}

async fn run(dir: &Path, config: &CacheConfig) {
    let (raw, first) = open(dir, config);
    let (_other, second) = open(dir, config);
    let stores: Vec<Arc<dyn MemoryStore>> = vec![first.clone(), second.clone(), raw];
    let call = call();
    let mut ids = Vec::new();
    for key in 0..KEYS {
        ids.push(
            add(&stores[2], &call, text(&format!("{} original", word(key))))
                .await
                .id,
        );
    }
    let shared = Arc::new(Shared {
        stores,
        ids,
        call,
        moments: AtomicU64::new(0),
    });
    let mut workers = JoinSet::new();
    for seed in 1..=WORKERS {
        workers.spawn(work(
            shared.clone(),
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ));
    }
    let log = workers.join_all().await.concat();
    let mut floors = vec![1; KEYS as usize];
    check(&log, &mut floors).unwrap();
    // A memory that is missing before it was deleted would pass as gone.
    let deleted = |op: &&Op| op.action == Action::Invalidate(GONE);
    for op in log
        .iter()
        .filter(|op| op.action == Action::Read(Some(GONE)))
    {
        let begun = log
            .iter()
            .filter(deleted)
            .any(|delete| delete.key == op.key && delete.called < op.returned);
        assert!(begun, "missing, though it was never deleted: {op:?}");
    }
    let (first, second) = (first.stats(), second.stats());
    assert!(first.hits + second.hits > 200, "{first:?} {second:?}");
    assert!(first.followed > 50, "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_an_acknowledged_write() {
    let dir = folder();
    run(dir.path(), &CacheConfig::default()).await;
    // Little room for changes, no spares: what cannot be followed is run again.
    let dir = folder();
    let small = CacheConfig {
        spare_matches: 0,
        drift_max: 1.0,
        changes_bytes_max: 16 * 1024,
        entries_max: 16.try_into().unwrap(),
        ..CacheConfig::default()
    };
    run(dir.path(), &small).await;
}
