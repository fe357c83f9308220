//! The memory store behind a breaker: refused at once while it is down, found again afterwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mcp_server::{
    adapters::{GuardConfig, GuardedStore},
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, MemoryId, Operation, Outcome,
        Search, Update, Updated,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use serde_json::json;

use crate::{
    contract,
    support::{
        database,
        mcp::{Client, Era},
        process::{Process, folder},
    },
};

#[tokio::test]
async fn a_guarded_store_keeps_the_contract_of_its_port() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let guarded = GuardedStore::new(Arc::new(store), &GuardConfig::default()).unwrap();
    contract::check(Arc::new(guarded)).await;
}

/// A store that fails or works as it is told, and counts who reaches it.
#[derive(Default)]
struct Scripted {
    down: AtomicBool,
    late: AtomicBool,
    reached: AtomicUsize,
}

impl Scripted {
    fn answer<T>(&self, id: &MemoryId) -> Result<T, MemoryError> {
        self.reached.fetch_add(1, Ordering::Relaxed);
        let is = |what: &AtomicBool| what.load(Ordering::Relaxed);
        Err(match (is(&self.down), is(&self.late)) {
            (true, _) => MemoryError::Unavailable {
                reason: "down".to_owned(),
            },
            (false, true) => MemoryError::OutcomeUnknown {
                reason: "late".to_owned(),
                late: true,
            },
            (false, false) => MemoryError::NotFound { id: id.clone() },
        })
    }
}

#[async_trait]
impl MemoryStore for Scripted {
    async fn add(&self, _: &Call, _: Add) -> Result<Added, MemoryError> {
        self.answer(&MemoryId::generate())
    }
    async fn search(&self, _: &Call, _: Search) -> Result<Found, MemoryError> {
        self.answer(&MemoryId::generate())
    }
    async fn get(&self, _: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        self.answer(&get.id)
    }
    async fn update(&self, _: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.answer(&update.id)
    }
    async fn delete(&self, _: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.answer(&delete.id)
    }
    async fn batch(
        &self,
        _: &Call,
        _: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        self.answer(&MemoryId::generate())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_left_alone_and_found_again() {
    let script = Arc::new(Scripted::default());
    let guarded = GuardedStore::new(script.clone(), &GuardConfig::default()).unwrap();
    let call = Call::local();
    let get = async || {
        let id = MemoryId::from("id".to_owned());
        guarded.get(&call, Get { id }).await.unwrap_err()
    };
    // A caller's mistakes open nothing.
    for _ in 0..100 {
        assert!(matches!(get().await, MemoryError::NotFound { .. }));
    }
    // Nor does a disk that pauses.
    script.late.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        assert!(matches!(get().await, MemoryError::OutcomeUnknown { .. }));
    }
    script.late.store(false, Ordering::Relaxed);
    script.down.store(true, Ordering::Relaxed);
    for _ in 0..5 {
        assert!(get().await.to_string().contains("down"));
    }
    let before = script.reached.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        let refused = get().await;
        assert!(refused.is_retryable(), "{refused}");
        assert!(refused.to_string().contains("left alone"), "{refused}");
    }
    assert_eq!(script.reached.load(Ordering::Relaxed), before);
    script.down.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(59_900)).await;
    assert!(matches!(get().await, MemoryError::Unavailable { .. }));
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..10 {
        assert!(matches!(get().await, MemoryError::NotFound { .. }));
    }
    let stats = guarded.stats();
    assert_eq!((stats.opened, stats.closed), (1, 1));
}

/// Writes that a lock keeps out fail; the sixth is refused at once. `--safe-mode` has no breaker.
#[tokio::test]
async fn a_server_whose_database_is_locked_refuses_at_once() {
    for (safe_mode, refused_early) in [(false, true), (true, false)] {
        let dir = folder();
        let listen = ["--listen", "127.0.0.1:0"];
        let arguments = match safe_mode {
            true => [&listen[..], &["--safe-mode"]].concat(),
            false => listen.to_vec(),
        };
        let environment = [("MCP_SERVER__MEMORY__SQLITE__BUSY_TIMEOUT", "50ms")];
        let server = Process::serve_with(dir.path(), &arguments, &environment).await;
        let mut client = Client::http(Era::Modern, server.address).await;
        let add = json!({"content": "x"});
        client.ok("memory_add", add.clone()).await;
        let lock = database(dir.path());
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..5 {
            let failed = client.call("memory_add", add.clone()).await;
            assert_eq!(failed["_meta"]["error"]["code"], "unavailable", "{failed}");
        }
        let sixth = client.call("memory_add", add.clone()).await.to_string();
        assert_eq!(sixth.contains("left alone"), refused_early, "{sixth}");
    }
}
