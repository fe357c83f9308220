//! What servers on one PostgreSQL database share by Redis: found by others, never stale, and missed
//! by nobody when it is gone. Each test has servers of its own.

mod faults;
mod processes;
mod tier;
mod warm;

use std::{sync::Arc, time::Duration};

use mcp_cache::CacheEventBus;
use mcp_server::{
    adapters::{CacheConfig, CachedStore, SharedStats},
    memory::{MemoryId, postgres::PostgresStore},
    ports::MemoryStore,
};
use tempfile::TempDir;

use crate::{
    contract::text,
    support::{PATIENCE, postgres::Postgres, process::folder, until},
};

/// What a process is for these tests: a store and a cache of its own.
struct Node {
    store: Arc<PostgresStore>,
    cached: Arc<CachedStore>,
    _dir: TempDir,
}

impl Node {
    async fn begin(database: &Postgres, config: CacheConfig) -> Self {
        let dir = folder();
        let store = Arc::new(database.open(dir.path()).await);
        // However slow the machine: what is counted here is not time.
        let config = CacheConfig {
            follow_timeout: PATIENCE,
            ..config
        };
        let bus = CacheEventBus::new(Arc::default(), 64.try_into().unwrap());
        let cached = CachedStore::new(store.clone(), store.clone(), &bus, 4 << 20, &config);
        let node = Self {
            store,
            cached: Arc::new(cached.unwrap()),
            _dir: dir,
        };
        // The index is made, and the past is known.
        let call = crate::contract::call();
        let search = serde_json::json!({"query": "anything", "limit": 1});
        until("the index", async || {
            let search = serde_json::from_value(search.clone()).unwrap();
            node.store.search(&call, search).await.ok()
        })
        .await;
        node
    }

    /// The same, and it knows `changes` of the last changes.
    async fn begin_knowing(database: &Postgres, config: CacheConfig, changes: u64) -> Self {
        let node = Self::begin(database, config).await;
        until("the past", async || {
            (node.shared().changes_known >= changes).then_some(())
        })
        .await;
        node
    }

    fn shared(&self) -> SharedStats {
        self.cached.shared_stats().expect("it shares")
    }

    /// Waits until so many answers have been stored.
    async fn stored(&self, answers: u64) {
        until("the answers to be stored", async || {
            (self.shared().stored >= answers).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.store.close().await;
    }
}

/// A Redis that may take its time, for tests that are not about it.
fn unhurried(config: mcp_server::adapters::SharedConfig) -> CacheConfig {
    crate::support::redis::sharing(mcp_server::adapters::SharedConfig {
        deadline: Duration::from_secs(10),
        ..config
    })
}

async fn fill(
    store: &Arc<dyn MemoryStore>,
    call: &mcp_server::call::Call,
    memories: usize,
) -> Vec<MemoryId> {
    let mut ids = Vec::new();
    for n in 0..memories {
        let content = format!("plover {n} word{}", n % 7);
        ids.push(store.add(call, text(&content)).await.unwrap().id);
    }
    ids
}

#[expect(clippy::print_stderr, reason = "a figure is part of the result")]
fn report(figure: &str) {
    eprintln!("{figure}");
}
