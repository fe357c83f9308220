//! A standby that takes over from a primary that is gone for good.

use std::{sync::Arc, time::Duration};

use mcp_cache::CacheEventBus;
use mcp_server::{
    adapters::{CacheConfig, CachedStore, PromptStore},
    memory::postgres::{PostgresConfig, PostgresStore},
    ports::MemoryStore,
};
use serde_json::json;
use tokio::time::Instant;

use super::faults::Load;
use crate::{
    contract::{add, call, get, hits, text},
    support::{
        PATIENCE,
        postgres::{Postgres, dsn},
        process::folder,
        until,
    },
};

const TIMEOUT: Duration = Duration::from_millis(500);

/// What was acknowledged is on the standby, too, where the primary is told to wait for it.
async fn wait_for_the_standby(primary: &Postgres) {
    let client = primary.client().await;
    client
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .await
        .unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    let is_sync = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    until("the standby", async || {
        client.query_opt(is_sync, &[]).await.unwrap().map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_serves_without_a_restart() {
    let Some(mut primary) = Postgres::start().await else {
        return;
    };
    let standby = primary.standby().await;
    wait_for_the_standby(&primary).await;
    let dir = folder();
    let config = PostgresConfig {
        read_replicas: vec![dsn(&standby.dsn())],
        replica_check_interval: Duration::from_millis(200),
        ..primary.config()
    };
    let opened = Arc::new(PostgresStore::open(dir.path(), &config).await.unwrap());
    let bus = CacheEventBus::new(Arc::default(), 64.try_into().unwrap());
    let prompt = Arc::new(PromptStore::new(opened.clone(), TIMEOUT));
    let cache = CacheConfig {
        follow_timeout: PATIENCE.min(TIMEOUT),
        ..CacheConfig::default()
    };
    let cached = CachedStore::new(prompt, opened.clone(), &bus, 4 << 20, &cache).unwrap();
    let store: Arc<dyn MemoryStore> = Arc::new(cached.answering_within(TIMEOUT));
    let call = call();
    let before = add(&store, &call, text("godwit before")).await.id;
    assert_eq!(
        hits(&store, &call, json!({"query": "godwit"})).await.len(),
        1
    );

    let load = Load::begin(&store, &call);
    tokio::time::sleep(Duration::from_millis(500)).await;
    primary.kill().await;
    let killed = Instant::now();
    let taking_over = standby.client().await;
    taking_over
        .batch_execute("SELECT pg_promote()")
        .await
        .unwrap();
    taking_over
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = ''; ")
        .await
        .unwrap();
    taking_over
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    let after = until("a write at the new primary", async || {
        store.add(&call, text("godwit after")).await.ok()
    })
    .await;
    let works_after = killed.elapsed();
    let written = load.end().await;
    let mut lost = 0;
    for id in written.acknowledged.iter().chain([&before, &after.id]) {
        let read = until("an answer", async || {
            match store.get(&call, get(id)).await {
                Err(error) if error.is_retryable() => None,
                answer => Some(answer),
            }
        });
        lost += usize::from(read.await.is_err());
    }
    assert_eq!(lost, 0, "of {} acknowledged", written.acknowledged.len());
    let found = until("a search", async || {
        let search = serde_json::from_value(json!({"query": "godwit", "limit": 10})).unwrap();
        store.search(&call, search).await.ok()
    })
    .await;
    assert_eq!(found.memories.len(), 2);
    super::faults::report(&format!(
        "standby promoted: {} writes acknowledged, 0 lost; {} refused, longest call {:?} of \
         {TIMEOUT:?}; writes again {works_after:?} after the primary was killed",
        written.acknowledged.len(),
        written.failed,
        written.longest
    ));
    opened.close().await;
}
