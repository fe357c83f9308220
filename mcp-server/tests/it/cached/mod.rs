//! The memory store behind its cache: never stale, whoever writes, and seldom asked twice.

mod agent_loop;
mod answers;
mod counting;
mod events;
mod expiry;
mod history;
mod meta;
mod model;
mod processes;
mod written;

use std::{path::Path, sync::Arc};

use mcp_cache::CacheEventBus;
use mcp_server::{
    adapters::{CacheConfig, CachedStore, GuardConfig, GuardedStore},
    memory::sqlite::{SqliteConfig, SqliteStore},
    ports::{ChangeFeed, MemoryStore},
};

use crate::{
    contract,
    support::{PATIENCE, process::folder},
};

/// A cache in front of `store`, which follows `feed`.
fn cached(
    store: Arc<dyn MemoryStore>,
    feed: Arc<dyn ChangeFeed>,
    config: &CacheConfig,
) -> Arc<CachedStore> {
    let bus = CacheEventBus::new(Arc::default(), 64.try_into().unwrap());
    // However slow the machine: what is counted here is not time.
    let config = &CacheConfig {
        follow_timeout: PATIENCE,
        ..config.clone()
    };
    let bytes_max = SqliteConfig::default().answer_bytes_max.get();
    Arc::new(CachedStore::new(store, feed, &bus, bytes_max, config).unwrap())
}

/// An embedded store, and a cache in front of it.
fn open(dir: &Path, config: &CacheConfig) -> (Arc<SqliteStore>, Arc<CachedStore>) {
    let store = Arc::new(SqliteStore::open(dir, &SqliteConfig::default()).unwrap());
    let cached = cached(store.clone(), store.clone(), config);
    (store, cached)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_store_keeps_the_contract_of_its_port() {
    let dir = folder();
    let (store, cached) = open(dir.path(), &CacheConfig::default());
    contract::check(cached.clone()).await;
    contract::check(cached).await;
    let guarded = GuardedStore::new(store.clone(), &GuardConfig::default()).unwrap();
    let exact = CacheConfig {
        drift_max: 0.0,
        spare_matches: 0,
        ..CacheConfig::default()
    };
    contract::check(self::cached(Arc::new(guarded), store, &exact)).await;
}
