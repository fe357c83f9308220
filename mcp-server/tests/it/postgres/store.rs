//! The contract, and what is in the tables.

use std::{path::Path, sync::Arc};

use mcp_server::{
    adapters::{BatchConfig, BatchedStore, CacheConfig, CachedStore, OptimisedManager},
    context::{ContextCacheConfig, StandardManager, WarmingConfig},
    memory::{
        Operation, Outcome,
        postgres::{PostgresError, PostgresStore},
    },
    ports::{MemoryArchive, MemoryStore, Readiness},
};
use tokio::task::JoinSet;

use crate::{
    contract::{self, add, call, get, hits, text},
    support::{PATIENCE, postgres::Postgres, process::folder, until},
};

async fn open(server: &Postgres, dir: &Path) -> Arc<PostgresStore> {
    Arc::new(server.open(dir).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_of_its_port() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let store = open(&server, dir.path()).await;
    contract::check(store.clone()).await;
    contract::contexts::check(Arc::new(StandardManager::new(store.clone()))).await;
    assert_eq!(store.check().await, Ok(()));
    let node = store.nodes().remove(0);
    assert_eq!(node.is_primary, Some(true));
    let statements = node.statements;
    assert!(statements.hits > 3 * statements.misses, "{statements:?}");
    store.close().await;
}

/// With all that the server puts around it: what is kept in memory is never stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_behind_batches_and_caches() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let store = open(&server, dir.path()).await;
    let batched = Arc::new(BatchedStore::new(store.clone(), &BatchConfig::default()).unwrap());
    let bus = mcp_cache::CacheEventBus::new(Arc::default(), 64.try_into().unwrap());
    let config = CacheConfig {
        follow_timeout: PATIENCE,
        ..CacheConfig::default()
    };
    let cached = CachedStore::new(batched.clone(), store.clone(), &bus, 1 << 22, &config).unwrap();
    let cached = Arc::new(cached);
    contract::check(cached.clone()).await;
    assert!(cached.stats().hits > 0, "{cached:?}");
    assert_eq!(cached.stats().bypassed, 0, "{cached:?}");
    let (copies, warming) = (ContextCacheConfig::default(), WarmingConfig::default());
    let manager = OptimisedManager::new(store.clone(), &copies, &warming).unwrap();
    contract::contexts::check(Arc::new(manager)).await;
    batched.shutdown().await;
    store.close().await;
}

/// An index that is lost is made again from the rows, and one of another process is made from the
/// same rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_finds_the_same_and_at_once() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let (here, there) = (folder(), folder());
    let first = open(&server, here.path()).await;
    let call = call();
    for n in 0..30 {
        let first: Arc<dyn MemoryStore> = first.clone();
        add(&first, &call, text(&format!("walrus number {n}"))).await;
    }
    let second = open(&server, there.path()).await;
    let found = |store: &Arc<PostgresStore>| {
        let store: Arc<dyn MemoryStore> = store.clone();
        let call = call.clone();
        async move {
            let search = serde_json::json!({"query": "walrus number 7", "limit": 50});
            let hits = hits(&store, &call, search).await;
            hits.into_iter()
                .map(|hit| (hit.memory.id.clone(), hit.score))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(found(&first).await.len(), 30);
    assert_eq!(found(&first).await, found(&second).await);
    // What one writes the other finds, without a pause in between.
    for n in 30..50 {
        let (writer, reader) = match n % 2 {
            0 => (&first, &second),
            _ => (&second, &first),
        };
        let writer: Arc<dyn MemoryStore> = writer.clone();
        add(&writer, &call, text(&format!("walrus number {n}"))).await;
        assert_eq!(found(reader).await.len(), n + 1);
    }
    first.close().await;
    drop(first);
    std::fs::remove_dir_all(here.path().join("postgres")).unwrap();
    let again = open(&server, here.path()).await;
    let readiness = again.index_readiness();
    until("the index", async || readiness.check().await.ok()).await;
    assert_eq!(found(&again).await, found(&second).await);
    again.close().await;
    second.close().await;
}

/// Two at once, on an empty database and on one that is up to date; and one that is ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_once_and_those_of_a_newer_program_refused() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let server = Arc::new(server);
    let mut opens = JoinSet::new();
    for _ in 0..4 {
        let server = server.clone();
        opens.spawn(async move {
            let dir = folder();
            server.open(dir.path()).await.close().await;
        });
    }
    opens.join_all().await;
    let client = server.client().await;
    client
        .batch_execute("INSERT INTO mcp_server.schema_version VALUES (99)")
        .await
        .unwrap();
    let dir = folder();
    let error = PostgresStore::open(dir.path(), &server.config())
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, PostgresError::Newer { found: 99, .. }),
        "{said}"
    );
    assert!(
        said.contains("use a newer mcp-server") && !said.contains("secret"),
        "{said}"
    );
    client
        .batch_execute("DROP SCHEMA mcp_server CASCADE; CREATE SCHEMA mcp_server")
        .await
        .unwrap();
    let error = PostgresStore::open(dir.path(), &server.config())
        .await
        .unwrap_err();
    assert!(matches!(error, PostgresError::Foreign { .. }), "{error}");
}

/// Many callers that write the same rows at once, each in transactions of several statements, never
/// stand in each other's way for good; and the log has every change once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_rows_take_turns() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let (here, there) = (folder(), folder());
    let stores = [
        open(&server, here.path()).await,
        open(&server, there.path()).await,
    ];
    let call = call();
    let store: Arc<dyn MemoryStore> = stores[0].clone();
    let a = add(&store, &call, text("a")).await.id;
    let b = add(&store, &call, text("b")).await.id;
    let mut writers = JoinSet::new();
    for n in 0..20 {
        let (store, call) = (stores[n % 2].clone(), call.clone());
        let mut ids = [a.clone(), b.clone()];
        ids.rotate_left(n % 2);
        writers.spawn(async move {
            for round in 0..5 {
                let update = |id: &mcp_server::memory::MemoryId| {
                    Operation::Update(
                        serde_json::from_value(
                            serde_json::json!({"id": id, "content": format!("{n} {round}")}),
                        )
                        .unwrap(),
                    )
                };
                let batch = vec![
                    update(&ids[0]),
                    Operation::Add(text("between")),
                    update(&ids[1]),
                ];
                for result in store.batch(&call, batch).await.unwrap() {
                    assert!(matches!(
                        result,
                        Ok(Outcome::Updated(_) | Outcome::Added(_))
                    ));
                }
            }
        });
    }
    writers.join_all().await;
    for id in [&a, &b] {
        assert_eq!(store.get(&call, get(id)).await.unwrap().version, 101);
    }
    let log = "SELECT h.sequence, count(*), min(c.sequence), max(c.sequence)
                 FROM mcp_server.head h, mcp_server.change c GROUP BY h.sequence";
    let row = server.client().await.query_one(log, &[]).await.unwrap();
    let numbers: Vec<i64> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(numbers, [302, 302, 1, 302]);
    for store in stores {
        store.close().await;
    }
}

/// What is put in as it is comes out as it is, page by page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_memories_go_in_and_out() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let store = open(&server, dir.path()).await;
    let call = call();
    let as_store: Arc<dyn MemoryStore> = store.clone();
    for n in 0..25 {
        add(&as_store, &call, text(&format!("{n} \0 \u{10ffff}"))).await;
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&call.owner, None, after, 10).await.unwrap();
        all.extend(page.memories);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 25);
    assert_eq!(all[3].content, "3 \0 \u{10ffff}");
    let other = contract::call();
    use mcp_server::memory::Restored;
    let taken = store
        .restore(&other.owner, all[..1].to_vec())
        .await
        .unwrap();
    assert_eq!(taken, [Restored::Taken]);
    let kept = store.restore(&call.owner, all.clone()).await.unwrap();
    assert!(kept.iter().all(|what| *what == Restored::Kept), "{kept:?}");
    let mut newer = all[0].clone();
    newer.version = 9;
    newer.content = "newer".to_owned();
    let mut gone = all[1].clone();
    gone.expires_at = Some(jiff::Timestamp::UNIX_EPOCH);
    let mut new = all[2].clone();
    new.id = mcp_server::memory::MemoryId::generate();
    let done = store
        .restore(&call.owner, vec![newer.clone(), gone, new.clone()])
        .await;
    assert_eq!(
        done.unwrap(),
        [Restored::Replaced, Restored::Expired, Restored::Added]
    );
    assert_eq!(*store.get(&call, get(&newer.id)).await.unwrap(), newer);
    assert_eq!(*store.get(&call, get(&new.id)).await.unwrap(), new);
    assert_eq!(store.owners().await.unwrap(), [call.owner]);
    store.close().await;
}
