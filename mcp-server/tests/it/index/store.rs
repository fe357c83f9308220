//! The store with its index: what was acknowledged is found by the very next search.

use std::{path::Path, sync::Arc, time::Duration};

use mcp_server::{
    call::Call,
    memory::{
        Delete, MemoryId, Search, Update,
        search::IndexConfig,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{MemoryStore, Readiness},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::index_dir;
use crate::{
    contract::{self, add, call, hits, text},
    support::{database, process::folder, until, within},
};

/// An index that commits all the time, so that nothing can hide in memory.
pub(super) fn eager() -> SqliteConfig {
    SqliteConfig {
        index: IndexConfig {
            commit_len: 1.try_into().unwrap(),
            interval: Duration::from_millis(1),
            ..IndexConfig::default()
        },
        ..SqliteConfig::default()
    }
}

pub(super) fn open(dir: &Path, config: &SqliteConfig) -> Arc<dyn MemoryStore> {
    Arc::new(SqliteStore::open(dir, config).unwrap())
}

/// Returns when the index on disk has read all of the log.
pub(super) async fn indexed(dir: &Path) {
    let head: i64 = database(dir)
        .query_row("SELECT max(sequence) FROM memory_change", [], |row| {
            row.get(0)
        })
        .unwrap();
    until("the index", async || {
        let disk = mcp_server::memory::search::DiskView::open(&index_dir(dir)).ok()?;
        (disk.watermark().sequence >= head).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept_while_the_index_commits() {
    let dir = folder();
    contract::check(open(dir.path(), &eager())).await;
    indexed(dir.path()).await;
}

async fn the_only_hit(store: &Arc<dyn MemoryStore>, call: &Call, word: &str) -> Option<MemoryId> {
    let mut hits = hits(store, call, json!({"query": word})).await;
    assert!(hits.len() <= 1, "{word}: {hits:?}");
    hits.pop().map(|hit| hit.memory.id.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_writer_finds_its_writes_at_once() {
    let dir = folder();
    // Two stores on one folder: one of them writes the index, both search it.
    let stores = [open(dir.path(), &eager()), open(dir.path(), &eager())];
    let call = call();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (mine, other) = (stores[writer % 2].clone(), stores[(writer + 1) % 2].clone());
        let call = call.clone();
        writers.spawn(async move {
            for round in 0..40 {
                let word = |what: &str| format!("{what}{writer}x{round}");
                let id = add(&mine, &call, text(&word("first"))).await.id;
                assert_eq!(
                    the_only_hit(&mine, &call, &word("first")).await.as_ref(),
                    Some(&id)
                );
                assert_eq!(
                    the_only_hit(&other, &call, &word("first")).await.as_ref(),
                    Some(&id)
                );
                let change: Update =
                    serde_json::from_value(json!({"id": id, "content": word("second")})).unwrap();
                mine.update(&call, change).await.unwrap();
                assert_eq!(the_only_hit(&other, &call, &word("first")).await, None);
                assert_eq!(
                    the_only_hit(&mine, &call, &word("second")).await.as_ref(),
                    Some(&id)
                );
                if round % 2 == 0 {
                    other.delete(&call, Delete { id }).await.unwrap();
                    assert_eq!(the_only_hit(&mine, &call, &word("second")).await, None);
                    assert_eq!(the_only_hit(&other, &call, &word("second")).await, None);
                }
            }
        });
    }
    while let Some(writer) = within("the writers", writers.join_next()).await {
        writer.unwrap();
    }
    indexed(dir.path()).await;
    let left = hits(
        &stores[0],
        &call,
        json!({"query": "second0x1 second3x39", "limit": 9}),
    );
    assert_eq!(left.await.len(), 2);
}

#[tokio::test]
async fn tenants_do_not_meet_in_the_index() {
    let dir = folder();
    let store = open(dir.path(), &eager());
    let owners: Vec<_> = (0..20).map(|_| call()).collect();
    for round in 0..10 {
        for call in &owners {
            add(&store, call, text(&format!("shared word {round}"))).await;
        }
    }
    indexed(dir.path()).await;
    for call in &owners {
        let search = json!({"query": "shared word 3", "limit": 100});
        let hits = hits(&store, call, search).await;
        assert_eq!(hits.len(), 10);
        assert_eq!(hits[0].memory.content, "shared word 3");
    }
    let nobody = call();
    assert_eq!(hits(&store, &nobody, json!({"query": "shared"})).await, []);
}

#[tokio::test]
async fn parts_of_unspaced_runs_are_found() {
    let dir = folder();
    let store = open(dir.path(), &SqliteConfig::default());
    for (content, query) in [
        ("東京都の天気は晴れです", "天気"),
        ("データベースの移行", "移行"),
        ("我们把数据库迁移到了新服务器", "服务器"),
        ("ฐานข้อมูลย้ายแล้ว", "ข้อมูล"),
        ("서울에서 만나요", "서울"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
    ] {
        let call = call();
        add(&store, &call, text(content)).await;
        add(&store, &call, text("another")).await;
        let hits = hits(&store, &call, json!({"query": query})).await;
        assert_eq!(hits.len(), 1, "{query}");
        assert_eq!(hits[0].memory.content, content);
    }
}

#[tokio::test]
async fn hostile_queries_are_answered() {
    let dir = folder();
    let store = open(dir.path(), &eager());
    let call = call();
    add(&store, &call, text("the quick brown fox and the lazy dog")).await;
    indexed(dir.path()).await;
    let megabyte = |part: &str| part.repeat(1_048_576 / part.len());
    for (query, finds) in [
        (megabyte("fox "), 1),
        (megabyte("x"), 0),
        (megabyte("\" OR NEAR( * ^ : "), 0),
        (megabyte("東京"), 0),
        (megabyte("\u{300}"), 0),
        (megabyte("🚀"), 0),
        (megabyte("\u{0}"), 0),
        ("the and the".to_owned(), 1),
        ("\"the".to_owned(), 1),
        ("' OR 1=1 --".to_owned(), 0),
        ("call:* 2:xx fox".to_owned(), 1),
    ] {
        let search = Search {
            limit: Some(u32::MAX),
            query,
            ..Search::default()
        };
        let brief: String = search.query.chars().take(20).collect();
        let found = within("an answer", store.search(&call, search))
            .await
            .unwrap();
        assert_eq!(found.memories.len(), finds, "{brief}");
    }
}

#[tokio::test]
async fn a_store_too_far_behind_says_so_and_catches_up() {
    let dir = folder();
    let config = SqliteConfig {
        index: IndexConfig {
            lag_max: 5.try_into().unwrap(),
            // Only wakes by the number of changes.
            commit_len: 10.try_into().unwrap(),
            interval: Duration::from_secs(3_600),
        },
        ..SqliteConfig::default()
    };
    let store = SqliteStore::open(dir.path(), &config).unwrap();
    let readiness = store.index_readiness();
    let store: Arc<dyn MemoryStore> = Arc::new(store);
    let call = call();
    let search = || Search {
        query: "behind".to_owned(),
        limit: Some(100),
        ..Search::default()
    };
    for _ in 0..9 {
        add(&store, &call, text("behind")).await;
    }
    let error = store.search(&call, search()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_retryable()),
        ("index_not_ready", true)
    );
    add(&store, &call, text("behind")).await;
    let found = until("the index", async || {
        store.search(&call, search()).await.ok()
    })
    .await;
    assert_eq!(found.memories.len(), 10);
    readiness.check().await.unwrap();
}
