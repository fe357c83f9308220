//! Writes of many callers in one transaction: each has its own result, and its own failure.

use std::{path::Path, sync::Arc};

use mcp_server::{
    adapters::{
        BatchConfig, BatchedStore, GuardConfig, GuardedStore, PromptStore, RepeatableStore,
    },
    call::Call,
    memory::{
        Delete, MemoryError, MemoryId, Operation, Update,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{GroupCommit, MemoryStore},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    contract::{self, add, call, get, hits, text},
    store::assert_sound,
    support::{PATIENCE, WriteLock, database, process::folder, until, within},
};

fn batched(dir: &Path, config: &BatchConfig) -> Arc<BatchedStore> {
    let store = SqliteStore::open(dir, &SqliteConfig::default()).unwrap();
    Arc::new(BatchedStore::new(Arc::new(store), config).unwrap())
}

#[tokio::test]
async fn a_batched_store_keeps_the_contract_of_its_port() {
    let dir = folder();
    let narrow = BatchConfig {
        len_max: 2.try_into().unwrap(),
        bytes_max: 1.try_into().unwrap(),
        ..BatchConfig::default()
    };
    for config in [BatchConfig::default(), narrow] {
        contract::check(batched(dir.path(), &config)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_stack_keeps_the_contract_of_its_port() {
    let dir = folder();
    let batched = batched(dir.path(), &BatchConfig::default());
    let prompt = PromptStore::new(batched, PATIENCE);
    let repeatable = RepeatableStore::new(Arc::new(prompt));
    let guarded = GuardedStore::new(Arc::new(repeatable), &GuardConfig::default()).unwrap();
    contract::check(Arc::new(guarded)).await;
}

/// What is written at the same moment is one transaction, which a count of the log's ends shows:
/// another process sees all of it or nothing.
#[tokio::test]
async fn simultaneous_writes_share_a_transaction() {
    let dir = folder();
    let store = batched(dir.path(), &BatchConfig::default());
    let port: Arc<dyn MemoryStore> = store.clone();
    let mut adds = JoinSet::new();
    for n in 0..50 {
        let port = port.clone();
        // Of as many owners as there are adds.
        adds.spawn(async move { add(&port, &call(), text(&format!("add {n}"))).await });
    }
    assert_eq!(within("the adds", adds.join_all()).await.len(), 50);
    let stats = store.stats();
    assert_eq!((stats.batches, stats.items), (1, 50));
    assert_eq!(rows(dir.path()), 50);
}

#[tokio::test]
async fn a_lone_write_does_not_wait_for_the_window() {
    let dir = folder();
    let config = BatchConfig {
        window: PATIENCE * 10,
        ..BatchConfig::default()
    };
    let store = batched(dir.path(), &config);
    within("the add", store.add(&call(), text("alone")))
        .await
        .unwrap();
}

fn rows(dir: &Path) -> u64 {
    let count = "SELECT count(*) FROM memory";
    database(dir)
        .query_row(count, [], |row| row.get(0))
        .unwrap()
}

/// Has the database refuse memories of one text, as it refuses what breaks a rule of the schema.
fn refuse(dir: &Path, content: &str, how: &str) {
    let trigger = format!(
        "CREATE TRIGGER refuse_{how} BEFORE INSERT ON memory WHEN new.content = '{content}'
         BEGIN SELECT RAISE({how}, 'refused'); END"
    );
    database(dir).execute_batch(&trigger).unwrap();
}

#[tokio::test]
async fn of_one_transaction_each_write_fails_by_itself() {
    let dir = folder();
    let store = batched(dir.path(), &BatchConfig::default());
    refuse(dir.path(), "poison", "ABORT");
    let (ann, bob) = (call(), call());
    let port: Arc<dyn MemoryStore> = store.clone();
    let known = add(&port, &bob, text("known")).await.id;
    let unknown = MemoryId::generate();
    let stale = Update {
        version: Some(7),
        ..serde_json::from_value(json!({"id": known, "content": "never"})).unwrap()
    };
    let half = ["first half", "poison", "second half"].map(|part| Operation::Add(text(part)));
    let mixed = vec![
        Operation::Add(text("beside a mistake")),
        Operation::Get(get(&unknown)),
    ];
    let before = store.stats().batches;
    let (first, lone, missing, conflict, half, mixed, last) = within("the writes", async {
        tokio::join!(
            store.add(&ann, text("first")),
            store.add(&bob, text("poison")),
            store.delete(
                &ann,
                Delete {
                    id: unknown.clone()
                }
            ),
            store.update(&bob, stale),
            store.batch(&ann, half.to_vec()),
            store.batch(&bob, mixed),
            store.add(&bob, text("last")),
        )
    })
    .await;
    assert_eq!(store.stats().batches, before + 1, "it is one transaction");
    for id in [first.unwrap().id, last.unwrap().id] {
        let owners = [
            store.get(&ann, get(&id)).await,
            store.get(&bob, get(&id)).await,
        ];
        assert_eq!(owners.iter().filter(|found| found.is_ok()).count(), 1);
    }
    assert_eq!(lone.unwrap_err().code(), "internal");
    assert_eq!(missing.unwrap_err().code(), "not_found");
    assert_eq!(conflict.unwrap_err().code(), "version_conflict");
    // What the database refuses undoes the caller's whole batch, and no other's.
    assert_eq!(half.unwrap_err().code(), "internal");
    let codes = mixed
        .unwrap()
        .into_iter()
        .map(|result| result.err().map(|error| error.code()));
    assert_eq!(codes.collect::<Vec<_>>(), [None, Some("not_found")]);
    assert_eq!(
        hits(&port, &ann, json!({"query": "half first"}))
            .await
            .len(),
        1
    );
    assert_eq!(
        hits(&port, &bob, json!({"query": "beside last known poison"}))
            .await
            .len(),
        3
    );
    assert_eq!(rows(dir.path()), 4);
}

#[tokio::test]
async fn a_transaction_that_the_database_ends_fails_all_its_writes_and_stores_none() {
    let dir = folder();
    let store = batched(dir.path(), &BatchConfig::default());
    refuse(dir.path(), "ruin", "ROLLBACK");
    let call = call();
    let results = within("the writes", async {
        tokio::join!(
            store.add(&call, text("before")),
            store.add(&call, text("ruin")),
            store.add(&call, text("after")),
        )
    })
    .await;
    for result in [results.0, results.1, results.2] {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
    assert_eq!(rows(dir.path()), 0);
    store.add(&call, text("and on it goes")).await.unwrap();
    assert_eq!(rows(dir.path()), 1);
    assert_sound(dir.path());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_shutdown_answers_what_is_queued() {
    let dir = folder();
    let config = BatchConfig {
        len_max: 1.try_into().unwrap(),
        queue_len_max: 2.try_into().unwrap(),
        ..BatchConfig::default()
    };
    let store = batched(dir.path(), &config);
    let lock = WriteLock::take(dir.path());
    let mut adds = JoinSet::new();
    let begin = |adds: &mut JoinSet<_>, n| {
        let store = store.clone();
        adds.spawn(async move { store.add(&Call::local(), text(&format!("add {n}"))).await });
    };
    begin(&mut adds, 0);
    until("the first to be at work", async || {
        (store.stats().running == 1).then_some(())
    })
    .await;
    for n in 1..4 {
        begin(&mut adds, n);
    }
    match within("a refusal", adds.join_next()).await {
        Some(Ok(Err(MemoryError::Overloaded { waiting: 2 }))) => {}
        other => panic!("{other:?}"),
    }
    let shutdown = tokio::spawn({
        let store = store.clone();
        async move { store.shutdown().await }
    });
    let closed = async || store.add(&Call::local(), text("late")).await.err();
    let refused = until("the shutdown", async || {
        closed()
            .await
            .filter(|error| error.to_string().contains("shutting down"))
    });
    assert!(refused.await.is_retryable());
    drop(lock);
    within("the shutdown", shutdown).await.unwrap();
    for result in within("the queued adds", adds.join_all()).await {
        result.unwrap();
    }
    assert_eq!(rows(dir.path()), 3);
}

#[tokio::test]
async fn a_group_without_writes_is_nothing() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    assert!(store.commit(Vec::new()).await.is_empty());
}
