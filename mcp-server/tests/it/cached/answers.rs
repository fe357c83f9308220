//! What is answered from the cache, and what is not.

use std::sync::Arc;

use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{
        Add, Delete, Operation, Update,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use serde_json::json;

use super::{cached, counting::Counting};
use crate::{
    contract::{add, call, get, hits, text},
    support::process::folder,
};

struct Room {
    counting: Arc<Counting>,
    store: Arc<dyn MemoryStore>,
    call: Call,
    _dir: tempfile::TempDir,
}

fn room(config: &CacheConfig) -> Room {
    let dir = folder();
    let sqlite = Arc::new(SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap());
    let counting = Counting::new(sqlite.clone());
    let store = cached(counting.clone(), sqlite, config);
    Room {
        counting,
        store,
        call: call(),
        _dir: dir,
    }
}

async fn contents(room: &Room, query: &str) -> Vec<String> {
    let hits = hits(&room.store, &room.call, json!({"query": query})).await;
    hits.into_iter()
        .map(|hit| hit.memory.content.clone())
        .collect()
}

/// Enough memories for the weights of words not to move with each one.
async fn fill(room: &Room, common: &str) {
    let adds = (0..50).map(|n| Operation::Add(text(&format!("{common} number {n}"))));
    room.store.batch(&room.call, adds.collect()).await.unwrap();
    room.counting.reads();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_search_reads_no_store() {
    let room = room(&CacheConfig::default());
    fill(&room, "heron").await;
    let first = hits(&room.store, &room.call, json!({"query": "heron"})).await;
    assert_eq!((first.len(), room.counting.reads()), (10, 1));
    let again = room.call.clone();
    for said in ["heron", " Heron!", "HERONS heron", "héron"] {
        let search = json!({"query": said, "tags": [], "limit": 10});
        assert_eq!(hits(&room.store, &again, search).await, first, "{said}");
    }
    assert_eq!(room.counting.reads(), 0);
    assert!(again.notes.is_cached());
    // Another meaning is another search.
    for search in [
        json!({"query": "heron", "limit": 9}),
        json!({"query": "heron", "namespace": "default"}),
        json!({"query": "heron number"}),
        json!({"query": "heron", "tags": ["a"]}),
    ] {
        hits(&room.store, &room.call, search).await;
        assert_eq!(room.counting.reads(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_search_follows_every_change_without_reading_the_store() {
    let room = room(&CacheConfig::default());
    fill(&room, "heron").await;
    contents(&room, "heron").await;
    assert_eq!(room.counting.reads(), 1);

    let best = add(&room.store, &room.call, text("heron heron")).await.id;
    assert_eq!(contents(&room, "heron").await[0], "heron heron");
    add(&room.store, &room.call, text("nothing of that kind")).await;
    assert_eq!(contents(&room, "heron").await.len(), 10);

    let update = |content: &str| Update {
        id: best.clone(),
        content: Some(content.to_owned()),
        tags: None,
        metadata: None,
        version: None,
    };
    room.store
        .update(&room.call, update("heron heron heron"))
        .await
        .unwrap();
    assert_eq!(contents(&room, "heron").await[0], "heron heron heron");
    room.store
        .update(&room.call, update("a stork"))
        .await
        .unwrap();
    let without = contents(&room, "heron").await;
    assert!(
        without
            .iter()
            .all(|content| content.starts_with("heron number"))
    );
    assert_eq!(without.len(), 10);
    room.store
        .update(&room.call, update("heron heron"))
        .await
        .unwrap();
    room.store
        .delete(&room.call, Delete { id: best.clone() })
        .await
        .unwrap();
    assert_eq!(contents(&room, "heron").await, without);
    assert_eq!(room.counting.reads(), 0);

    // Another namespace and another owner stay out of it.
    let elsewhere = Add {
        namespace: Some("elsewhere".to_owned()),
        ..text("heron heron")
    };
    add(&room.store, &call(), text("heron heron")).await;
    let narrow = json!({"query": "heron", "namespace": "default"});
    let before = hits(&room.store, &room.call, narrow.clone()).await;
    assert_eq!(room.counting.reads(), 1);
    add(&room.store, &room.call, elsewhere).await;
    assert_eq!(hits(&room.store, &room.call, narrow).await, before);
    assert_eq!(contents(&room, "heron").await[0], "heron heron");
    assert_eq!(room.counting.reads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_without_spares_left_is_run_again() {
    let config = CacheConfig {
        spare_matches: 3,
        ..CacheConfig::default()
    };
    let room = room(&config);
    fill(&room, "heron").await;
    let mut reads = Vec::new();
    for _ in 0..6 {
        let first = hits(&room.store, &room.call, json!({"query": "heron"}))
            .await
            .remove(0);
        reads.push(room.counting.reads());
        room.store
            .delete(
                &room.call,
                Delete {
                    id: first.memory.id.clone(),
                },
            )
            .await
            .unwrap();
    }
    assert_eq!(reads, [1, 0, 0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranking_that_drifts_is_made_again() {
    let room = room(&CacheConfig::default());
    fill(&room, "heron").await;
    add(&room.store, &room.call, text("a rare bittern")).await;
    contents(&room, "heron bittern").await;
    room.counting.reads();
    // The rare word is half as rare now, the common one as common as before.
    add(&room.store, &room.call, text("another rare bittern")).await;
    let found = contents(&room, "heron bittern").await;
    assert_eq!(found[..2], ["a rare bittern", "another rare bittern"]);
    assert_eq!(room.counting.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_is_read_once_and_after_a_write_not_at_all() {
    let room = room(&CacheConfig::default());
    let id = add(&room.store, &room.call, text("first")).await.id;
    for _ in 0..3 {
        let memory = room.store.get(&room.call, get(&id)).await.unwrap();
        assert_eq!(memory.content, "first");
    }
    // At the first look everything may have changed; from then on changes bring the memory along.
    assert_eq!(room.counting.reads(), 1);
    let update = serde_json::from_value(json!({"id": id, "metadata": {"n": 1}})).unwrap();
    room.store.update(&room.call, update).await.unwrap();
    let memory = room.store.get(&room.call, get(&id)).await.unwrap();
    assert_eq!((memory.version, room.counting.reads()), (2, 0));
    let stranger = call();
    assert!(room.store.get(&stranger, get(&id)).await.is_err());
    assert!(!stranger.notes.is_cached());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_reads_is_answered_from_the_cache_as_a_whole() {
    let room = room(&CacheConfig::default());
    fill(&room, "heron").await;
    let id = add(&room.store, &room.call, text("one more heron"))
        .await
        .id;
    let search = || serde_json::from_value(json!({"query": "heron", "limit": 10})).unwrap();
    let batch = || vec![Operation::Get(get(&id)), Operation::Search(search())];
    let first = room.store.batch(&room.call, batch()).await.unwrap();
    room.store.search(&room.call, search()).await.unwrap();
    room.store.get(&room.call, get(&id)).await.unwrap();
    room.counting.reads();
    let again = room.store.batch(&room.call, batch()).await.unwrap();
    assert_eq!(room.counting.reads(), 0);
    for (first, again) in first.into_iter().zip(again) {
        let json = |outcome| serde_json::to_value(outcome).unwrap();
        assert_eq!(json(first.unwrap()), json(again.unwrap()));
    }
    // One that writes sees its own writes, in the store.
    let mut writes = batch();
    writes.insert(0, Operation::Add(text("heron heron")));
    room.store.batch(&room.call, writes).await.unwrap();
    assert_eq!(room.counting.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_pass_the_cache_by() {
    let room = room(&CacheConfig::default());
    fill(&room, "heron").await;
    let mut bypass = room.call.clone();
    bypass.bypass_cache = true;
    for _ in 0..2 {
        hits(&room.store, &bypass, json!({"query": "heron"})).await;
        assert_eq!(room.counting.reads(), 1);
    }
    contents(&room, "heron").await;
    assert_eq!(room.counting.reads(), 1, "it filled nothing either");
    assert!(!bypass.notes.is_cached());
}
