//! The memory server on a store of one's own.
//!
//! ```text
//! cargo run -p examples --example server_custom_store
//! ```
//!
//! Whatever implements `MemoryStore` can stand where SQLite and PostgreSQL do.
//! This one keeps memories in a map, and gets what every store gets: limits on
//! what may be asked, a deadline for each operation, a circuit breaker, the six
//! tools, and MCP over HTTP.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use async_trait::async_trait;
use examples::{check, http::call_tool};
use mcp_server::{
    adapters::{GuardConfig, GuardedStore, PromptStore},
    call::Call,
    config::HttpConfig,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Hit, Limits, Memory, MemoryError, MemoryId,
        MemoryService, Operation, Outcome, Owner, Search, Update, Updated,
    },
    ports::MemoryStore,
    protocol::{McpHandler, Strict},
    tools::memory_tools,
    transport::http,
};
use serde_json::json;
use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The store, and what stands before it, the innermost first.
    let store: Arc<dyn MemoryStore> = Arc::new(MapStore::default());
    let store = Arc::new(PromptStore::new(store, Duration::from_secs(1)));
    let store = Arc::new(GuardedStore::new(store, &GuardConfig::default())?);

    // The service, its tools, MCP, and HTTP.
    let memory = MemoryService::new(store, Limits::default());
    let handler = Strict::new(McpHandler::new(Arc::new(memory_tools(&memory))));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (addr, stop) = (listener.local_addr()?, CancellationToken::new());
    let (options, config) = (http::Options::default(), HttpConfig::default());
    let served = tokio::spawn(http::serve(
        listener,
        handler,
        options,
        config,
        stop.clone(),
    ));

    let tea = json!({"content": "tea is in the third drawer", "tags": ["kitchen"]});
    let added = call_tool(addr, "memory_add", &tea).await?;
    let id = &added["result"]["structuredContent"]["id"];
    println!("added {id}");
    let found = call_tool(addr, "memory_search", &json!({"query": "which drawer"})).await?;
    let memories = &found["result"]["structuredContent"]["memories"];
    println!("found {}", memories[0]["content"]);
    check(memories[0]["id"] == *id, "what was added is found")?;

    let update = json!({"id": id, "content": "tea is in the fourth drawer", "version": 1});
    call_tool(addr, "memory_update", &update).await?;
    let again = call_tool(addr, "memory_update", &update).await?;
    let error = &again["result"]["_meta"]["error"]["code"];
    check(
        error == "version_conflict",
        "an update of an old version is refused",
    )?;
    let empty = call_tool(addr, "memory_add", &json!({"content": ""})).await?;
    let error = &empty["result"]["_meta"]["error"]["code"];
    check(error == "invalid_argument", "limits stand before the store")?;

    stop.cancel();
    check(
        served.await?? == http::Drained::Whole,
        "every answer was sent",
    )
}

/// Memories of every owner, by id, in memory only.
#[derive(Default)]
struct MapStore(Mutex<HashMap<(Owner, MemoryId), Arc<Memory>>>);

type Rows<'a> = MutexGuard<'a, HashMap<(Owner, MemoryId), Arc<Memory>>>;

impl MapStore {
    /// Held for microseconds and across no await.
    fn rows(&self) -> Rows<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MemoryStore for MapStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        let now = jiff::Timestamp::now();
        // An id is given where the add may be repeated: then it is stored once.
        let id = add.id.unwrap_or_else(MemoryId::generate);
        let memory = Memory {
            id: id.clone(),
            namespace: add.namespace.unwrap_or_else(|| "default".to_owned()),
            content: add.content,
            tags: add.tags,
            metadata: add.metadata,
            version: 1,
            created_at: now,
            updated_at: now,
            expires_at: None,
            form: Default::default(),
        };
        let mut rows = self.rows();
        let kept = rows.entry((call.owner.clone(), id.clone()));
        let created_at = kept.or_insert_with(|| Arc::new(memory)).created_at;
        Ok(Added {
            id,
            version: 1,
            created_at,
        })
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        let words: Vec<_> = search.query.split_whitespace().collect();
        let score = |memory: &Memory| {
            let held = words.iter().filter(|word| memory.content.contains(**word));
            held.count() as f64
        };
        let in_namespace = |memory: &&Arc<Memory>| {
            let asked = search.namespace.as_ref();
            asked.is_none_or(|asked| *asked == memory.namespace)
        };
        let is_tagged =
            |memory: &&Arc<Memory>| search.tags.iter().all(|tag| memory.tags.contains(tag));
        let rows = self.rows();
        let own = rows.iter().filter(|((owner, _), _)| *owner == call.owner);
        let mut memories: Vec<_> = own
            .map(|(_, memory)| memory)
            .filter(in_namespace)
            .filter(is_tagged)
            .map(|memory| Hit {
                memory: memory.clone(),
                score: score(memory),
            })
            .filter(|hit| hit.score > 0.0)
            .collect();
        memories.sort_by(|one, other| other.score.total_cmp(&one.score));
        memories.truncate(search.limit.map_or(10, |limit| limit as usize));
        Ok(Found {
            memories,
            ..Found::default()
        })
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        let key = (call.owner.clone(), get.id);
        let found = self.rows().get(&key).cloned();
        found.ok_or(MemoryError::NotFound { id: key.1 })
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        let mut rows = self.rows();
        let id = update.id;
        let Some(memory) = rows.get_mut(&(call.owner.clone(), id.clone())) else {
            return Err(MemoryError::NotFound { id });
        };
        let actual = memory.version;
        if let Some(expected) = update.version.filter(|expected| *expected != actual) {
            return Err(MemoryError::VersionConflict {
                id,
                expected,
                actual,
            });
        }
        // Others may hold the old one.
        let mut new = Memory::clone(memory);
        new.form = Default::default();
        new.content = update.content.unwrap_or(new.content);
        new.tags = update.tags.unwrap_or(new.tags);
        new.metadata = update.metadata.unwrap_or(new.metadata);
        new.version += 1;
        new.updated_at = jiff::Timestamp::now();
        let (version, updated_at) = (new.version, new.updated_at);
        *memory = Arc::new(new);
        Ok(Updated {
            id,
            version,
            updated_at,
        })
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        let key = (call.owner.clone(), delete.id);
        let removed = self.rows().remove(&key);
        let id = key.1;
        match removed {
            Some(_) => Ok(Deleted { id, deleted: true }),
            None => Err(MemoryError::NotFound { id }),
        }
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let mut outcomes = Vec::with_capacity(operations.len());
        for operation in operations {
            outcomes.push(match operation {
                Operation::Add(add) => self.add(call, add).await.map(Outcome::Added),
                Operation::Search(search) => self.search(call, search).await.map(Outcome::Found),
                Operation::Get(get) => self.get(call, get).await.map(Outcome::Memory),
                Operation::Update(update) => self.update(call, update).await.map(Outcome::Updated),
                Operation::Delete(delete) => self.delete(call, delete).await.map(Outcome::Deleted),
            });
        }
        Ok(outcomes)
    }
}
