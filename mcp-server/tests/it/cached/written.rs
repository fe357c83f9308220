//! An answer that is kept is written once, and never sent once it would be another.

use std::sync::Arc;

use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{
        Add, Delete, Limits, MemoryService, Update,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
    tools::{Registry, memory_tools},
    written::Written,
};
use serde_json::{Value, json};

use super::cached;
use crate::{
    contract::{add, call, text},
    support::{process::folder, until},
};

struct Room {
    store: Arc<dyn MemoryStore>,
    tools: Registry,
    call: Call,
    _dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let dir = folder();
        let sqlite = Arc::new(SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap());
        let store = cached(sqlite.clone(), sqlite, &CacheConfig::default());
        Self {
            tools: memory_tools(&MemoryService::new(store.clone(), Limits::default())),
            store,
            call: call(),
            _dir: dir,
        }
    }

    /// What a client gets, after it was compared with what a client of the other way gets.
    async fn written(&self, tool: &str, arguments: &Value) -> Arc<Written> {
        let tool = self.tools.by_name(tool).unwrap();
        let written = tool.call_json(&self.call, &arguments.to_string()).await;
        let written = written.unwrap().unwrap();
        let arguments = arguments.as_object().unwrap().clone();
        let value = tool.call(&self.call, arguments).await.unwrap();
        // Read from text both: a number may not be the same to the last digit after that.
        let read = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        assert_eq!(read(written.value()), read(&value.to_string()));
        written
    }

    async fn search(&self, query: &str) -> Arc<Written> {
        self.written("memory_search", &json!({"query": query, "limit": 2}))
            .await
    }
}

fn update(added: &mcp_server::memory::Added, content: &str) -> Update {
    Update {
        id: added.id.clone(),
        content: Some(content.to_owned()),
        tags: None,
        metadata: None,
        version: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_answer_is_written_again_only_when_it_has_changed() {
    let room = Room::new();
    let mut herons = Vec::new();
    for n in 0..50 {
        herons.push(add(&room.store, &room.call, text(&format!("heron {n}"))).await);
    }
    room.search("heron").await;
    let first = room.search("heron").await;
    assert!(Arc::ptr_eq(&first, &room.search("Herons!").await));

    add(&room.store, &room.call, text("nothing of that kind")).await;
    assert!(Arc::ptr_eq(&first, &room.search("heron").await));
    // It matches, but worse than the two that are answered.
    add(&room.store, &room.call, text("heron seen again")).await;
    assert!(Arc::ptr_eq(&first, &room.search("heron").await));

    let best = add(&room.store, &room.call, text("heron heron")).await;
    let second = room.search("heron").await;
    assert!(!Arc::ptr_eq(&first, &second) && second.value().contains("heron heron"));
    room.store
        .update(&room.call, update(&best, "heron heron!"))
        .await
        .unwrap();
    assert!(room.search("heron").await.value().contains("heron heron!"));
    let gone = Delete {
        id: best.id.clone(),
    };
    room.store.delete(&room.call, gone).await.unwrap();
    assert!(!room.search("heron").await.value().contains("heron heron"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_memory_is_written_again_only_when_it_has_changed() {
    let room = Room::new();
    let added = add(&room.store, &room.call, text("a heron")).await;
    let id = json!({"id": added.id});
    let first = room.written("memory_get", &id).await;
    add(&room.store, &room.call, text("another")).await;
    assert!(Arc::ptr_eq(&first, &room.written("memory_get", &id).await));
    room.store
        .update(&room.call, update(&added, "a stork"))
        .await
        .unwrap();
    assert!(
        room.written("memory_get", &id)
            .await
            .value()
            .contains("a stork")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_a_memory_that_expires_is_written_each_time() {
    let room = Room::new();
    add(&room.store, &room.call, text("a heron")).await;
    let soon = Add {
        ttl_seconds: Some(2),
        ..text("a heron, too")
    };
    add(&room.store, &room.call, soon).await;
    until("its end", async || {
        let gone = !room.search("heron").await.value().contains("too");
        gone.then_some(())
    })
    .await;
    assert!(room.search("heron").await.value().contains("a heron"));
}
