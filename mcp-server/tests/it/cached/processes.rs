//! Other processes, other connections: whatever they commit is seen at once.

use std::sync::Arc;

use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{
        search::Watermark,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{ChangeFeed, MemoryStore},
};
use serde_json::json;

use super::open;
use crate::{
    contract::{hits, text},
    support::{
        database,
        mcp::{Client, Era},
        process::folder,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_writes_is_found_by_the_next_read() {
    let dir = folder();
    let (_sqlite, cached) = open(dir.path(), &CacheConfig::default());
    let store: Arc<dyn MemoryStore> = cached.clone();
    let call = Call::local();
    let mut other = Client::stdio(Era::Modern, dir.path()).await;
    let search = json!({"query": "plover", "limit": 100});
    let mut there = 0;
    for n in 0..40 {
        let content = format!("plover {n}");
        let added = other.ok("memory_add", json!({"content": content})).await;
        there += 1;
        assert_eq!(hits(&store, &call, search.clone()).await.len(), there);
        let id = added["id"].clone();
        let get = serde_json::from_value(json!({"id": id})).unwrap();
        assert_eq!(store.get(&call, get).await.unwrap().content, content);
        if n % 2 == 1 {
            other.ok("memory_delete", json!({"id": id})).await;
            there -= 1;
            assert_eq!(hits(&store, &call, search.clone()).await.len(), there);
        }
        // And the other way round, through the other one's cache.
        let own = text(&format!("plover of our own {n}"));
        store.add(&call, own).await.unwrap();
        there += 1;
        let theirs = other.ok("memory_search", search.clone()).await;
        assert_eq!(theirs["memories"].as_array().unwrap().len(), there);
    }
    let stats = cached.stats();
    assert!(stats.followed > 50, "{stats:?}");
    assert_eq!(stats.bypassed, 0, "{stats:?}");
}

#[tokio::test]
async fn a_version_moves_with_every_commit_and_only_then() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let version = || store.version().expect("Linux and macOS have one");
    let other = database(dir.path());
    let mut seen = vec![version()];
    let mut moved = |what: &str| {
        let now = version();
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    for n in 0..100 {
        store.add(&Call::local(), text("own")).await.unwrap();
        moved("a commit of its own");
        let sql = format!("UPDATE memory SET metadata = '{{\"n\":{n}}}'");
        other.execute(&sql, []).unwrap();
        moved("a commit of somebody else");
        // The log begins anew after it; nothing has changed.
        let mode = ["PASSIVE", "RESTART", "TRUNCATE"][n % 3];
        let _: i64 = other
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                row.get(0)
            })
            .unwrap();
        other
            .execute("UPDATE memory SET version = version + 1", [])
            .unwrap();
        moved("a commit after a checkpoint");
    }
    let before = version();
    let changes = store.changes(None, 1).await.unwrap();
    let same = store.changes(Some(changes.upto), 10).await.unwrap();
    assert_eq!(same.list, Some(Vec::new()));
    assert_eq!(version(), before, "a read moves nothing");
}

#[tokio::test]
async fn a_feed_tells_every_change_once_and_says_when_it_cannot() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let call = Call::local();
    let start = store.changes(None, 1).await.unwrap();
    assert_eq!((start.upto, start.list), (Watermark::default(), None));
    assert_eq!(
        store.changes(Some(start.upto), 5).await.unwrap().list,
        Some(Vec::new())
    );
    let first = store.add(&call, text("one")).await.unwrap().id;
    let second = store.add(&call, text("two")).await.unwrap().id;
    let update = serde_json::from_value(json!({"id": first, "metadata": {"n": 1}})).unwrap();
    store.update(&call, update).await.unwrap();
    let delete = serde_json::from_value(json!({"id": second})).unwrap();
    store.delete(&call, delete).await.unwrap();
    let changes = store.changes(Some(start.upto), 10).await.unwrap();
    let told: Vec<_> = changes
        .list
        .unwrap()
        .into_iter()
        .map(|change| {
            (
                change.sequence,
                change.id,
                change.now.map(|now| now.memory.version),
            )
        })
        .collect();
    let expect = [
        (1, first.clone(), None),
        (2, second.clone(), None),
        (3, first, Some(2)),
        (4, second, None),
    ];
    assert_eq!(told, expect);
    let last = changes.upto;
    assert_eq!(last.sequence, 4);
    let history = store.history(10).await.unwrap();
    let told: Vec<_> = history.iter().map(|mark| mark.at.sequence).collect();
    assert_eq!((told, history[3].at), (vec![1, 2, 3, 4], last));
    assert_eq!(store.history(2).await.unwrap(), history[2..]);
    // Too many; beyond the end; of another history.
    let at = |sequence, stamp| Watermark { sequence, stamp };
    let other = at(3, history[2].at.stamp + 1);
    for (after, len_max) in [(at(0, 0), 3), (at(5, 0), 10), (at(9, 0), 10), (other, 10)] {
        let changes = store.changes(Some(after), len_max).await.unwrap();
        assert_eq!(
            (changes.upto, changes.list),
            (last, None),
            "{after:?}, {len_max}"
        );
    }
    let trim = "DELETE FROM memory_change WHERE sequence < 3";
    database(dir.path()).execute(trim, []).unwrap();
    let after = |n: usize| store.changes(Some(history[n].at), 10);
    assert_eq!(after(0).await.unwrap().list, None);
    let rest = after(2).await.unwrap().list.unwrap();
    assert_eq!(rest.len(), 1);
}
