//! What one process has read, another one finds, as long as it is so.

use std::sync::Arc;

use mcp_server::{
    memory::{MemoryError, MemoryId, Update},
    ports::MemoryStore,
};
use serde_json::json;

use super::{Node, fill, unhurried};
use crate::{
    contract::{call, get, hits},
    support::{postgres::Postgres, redis::Redis},
};

const MEMORIES: usize = 20;

fn update(id: &MemoryId, content: &str) -> Update {
    Update {
        id: id.clone(),
        content: Some(content.to_owned()),
        tags: None,
        metadata: None,
        version: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_reads_another_one_finds_as_long_as_it_is_so() {
    let (Some(database), Some(redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let config = unhurried(redis.config());
    let first = Node::begin(&database, config.clone()).await;
    let (store, call) = (first.cached.clone() as Arc<dyn MemoryStore>, call());
    let ids = fill(&store, &call, MEMORIES).await;
    let searches: Vec<_> = (0..7)
        .map(|n| json!({"query": format!("word{n} plover"), "limit": 5}))
        .collect();
    // Another order of the words is the same question.
    let turned: Vec<_> = (0..7)
        .map(|n| json!({"query": format!("plover WORD{n}"), "limit": 5}))
        .collect();
    let mut answers = Vec::new();
    for id in &ids {
        // Past the copies that were made of what was written.
        first.cached.get(&call, get(id)).await.unwrap();
    }
    for search in &searches {
        answers.push(hits(&store, &call, search.clone()).await);
    }
    first.stored(searches.len() as u64).await;

    let second = Node::begin_knowing(&database, config.clone(), MEMORIES as u64).await;
    let reader = second.cached.clone() as Arc<dyn MemoryStore>;
    for (search, answer) in turned.iter().zip(&answers) {
        assert_eq!(hits(&reader, &call, search.clone()).await, *answer);
    }
    let shared = second.shared();
    assert_eq!(
        (shared.hits, shared.refused),
        (searches.len() as u64, 0),
        "{shared:?}"
    );
    // Nobody else is given any of it.
    let stranger = crate::contract::call();
    assert!(
        hits(&reader, &stranger, searches[0].clone())
            .await
            .is_empty()
    );
    for id in &ids {
        let error = reader.get(&stranger, get(id)).await.unwrap_err();
        assert!(matches!(error, MemoryError::NotFound { .. }), "{error}");
        reader.get(&call, get(id)).await.unwrap();
    }

    // What is changed behind everybody's back is never served, whoever begins.
    first
        .store
        .update(&call, update(&ids[0], "whimbrel word0"))
        .await
        .unwrap();
    let third = Node::begin_knowing(&database, config, MEMORIES as u64 + 1).await;
    for node in [&first, &second, &third] {
        let reader = node.cached.clone() as Arc<dyn MemoryStore>;
        let memory = reader.get(&call, get(&ids[0])).await.unwrap();
        assert_eq!(memory.content, "whimbrel word0");
        let found = hits(&reader, &call, json!({"query": "whimbrel"})).await;
        assert_eq!(found.len(), 1);
        for search in &searches {
            let truth = first.store.clone() as Arc<dyn MemoryStore>;
            let found = hits(&reader, &call, search.clone()).await;
            let ids = |hits: &[mcp_server::memory::Hit]| {
                let mut ids: Vec<_> = hits.iter().map(|hit| hit.memory.id.to_string()).collect();
                ids.sort();
                ids
            };
            assert_eq!(ids(&found), ids(&hits(&truth, &call, search.clone()).await));
        }
    }
    for node in [first, second, third] {
        node.end().await;
    }
}

/// A backup of the database that was put back, and what was shared since: the numbers are the same,
/// and the history is another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_in_another_history_is_refused() {
    let (Some(database), Some(redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let config = unhurried(redis.config());
    let first = Node::begin(&database, config.clone()).await;
    let call = call();
    let raw = first.store.clone() as Arc<dyn MemoryStore>;
    let ids = fill(&raw, &call, MEMORIES).await;
    for id in &ids {
        first.cached.get(&call, get(id)).await.unwrap();
    }
    first.stored(MEMORIES as u64).await;
    let kept = redis.keys().len() as u64;
    assert_eq!(kept, MEMORIES as u64);
    let client = database.client().await;
    let other = "ALTER TABLE mcp_server.memory DISABLE TRIGGER USER;
                 UPDATE mcp_server.memory SET content = 'of another history';
                 ALTER TABLE mcp_server.memory ENABLE TRIGGER USER;
                 UPDATE mcp_server.change SET stamp = stamp + 1";
    client.batch_execute(other).await.unwrap();
    let second = Node::begin_knowing(&database, config, MEMORIES as u64).await;
    for node in [&second, &first] {
        for id in &ids {
            let memory = node.cached.get(&call, get(id)).await.unwrap();
            assert_eq!(memory.content, "of another history");
        }
    }
    let shared = second.shared();
    assert_eq!((shared.hits, shared.refused), (0, kept), "{shared:?}");
    first.end().await;
    second.end().await;
}

/// Whatever is in Redis: what cannot be read is none, and is put right by the next read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_read_from_the_database_and_mended() {
    let (Some(database), Some(redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let config = unhurried(redis.config());
    let first = Node::begin(&database, config.clone()).await;
    let call = call();
    let raw = first.store.clone() as Arc<dyn MemoryStore>;
    let id = fill(&raw, &call, 1).await.remove(0);
    first.cached.get(&call, get(&id)).await.unwrap();
    first.stored(1).await;
    let key = redis.keys().remove(0);
    for damage in [
        vec!["SET", &key, "garbage"],
        vec!["SET", &key, ""],
        vec!["SETRANGE", &key, "30", "xxxxxxxx"],
        vec!["HSET", &format!("{key}x"), "a", "b"],
    ] {
        redis.ask(&damage);
        let node = Node::begin_knowing(&database, config.clone(), 1).await;
        let memory = node.cached.get(&call, get(&id)).await.unwrap();
        assert_eq!(memory.content, "plover 0 word0");
        if node.shared().hits == 0 {
            node.stored(1).await;
        }
        node.end().await;
    }
    let node = Node::begin_knowing(&database, config, 1).await;
    node.cached.get(&call, get(&id)).await.unwrap();
    assert_eq!(node.shared().hits, 1, "{:?}", node.shared());
    node.end().await;
    first.end().await;
}
