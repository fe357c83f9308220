//! Three server processes on one database and a standby of it, asked over MCP: they behave as one.
//! The checker of `mcp-cache` is the judge: a read that began after a write was acknowledged, by
//! whichever process, must not be older.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mcp_cache::history::{Action, Op, check};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    mcp::{Client, Era},
    postgres::Postgres,
    process::{Process, folder},
};

const PROCESSES: usize = 3;
const KEYS: u32 = 16;
const WORKERS: u64 = 9;
const OPERATIONS: u64 = 250;

struct Shared {
    ids: Vec<String>,
    moments: AtomicU64,
    cached: AtomicU64,
    reads: AtomicU64,
}

impl Shared {
    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    async fn operate(&self, client: &mut Client, key: u32, random: u64) -> Op {
        let id = &self.ids[key as usize];
        let called = self.moment();
        let action = match random % 10 {
            0 | 1 => {
                let content = format!("key{key} ruff{} n{random}", random % 3);
                let updated = client.ok("memory_update", json!({"id": id, "content": content}));
                Action::Invalidate(updated.await["version"].as_u64().unwrap())
            }
            2..5 => {
                let memory = self.read(client, "memory_get", json!({"id": id})).await;
                Action::Read(memory["version"].as_u64())
            }
            _ => {
                let query = match random % 2 {
                    0 => format!("key{key}"),
                    _ => "ruff0 ruff1 ruff2 original".to_owned(),
                };
                let search = json!({"query": query, "limit": KEYS});
                let found = self.read(client, "memory_search", search).await;
                let hits = found["memories"].as_array().unwrap();
                let hit = hits.iter().find(|hit| hit["id"] == **id);
                Action::Read(Some(
                    hit.expect("it is always there")["version"]
                        .as_u64()
                        .unwrap(),
                ))
            }
        };
        Op {
            called,
            returned: self.moment(),
            key,
            action,
        }
    }

    async fn read(&self, client: &mut Client, tool: &str, arguments: Value) -> Value {
        let mut result = client.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        let cached = result["_meta"]["cached"] == true;
        self.cached.fetch_add(cached.into(), Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
        result["structuredContent"].take()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_of_any_process_is_older_than_a_write_of_another() {
    let Some(primary) = Postgres::start().await else {
        return;
    };
    let standby = primary.standby().await;
    let settings = format!(
        "memory:\n  store: postgres\n  postgres:\n    dsn: '{}'\n    read_replicas: ['{}']\n",
        primary.dsn(),
        standby.dsn()
    );
    let processes = Processes::begin(&settings).await;
    let (operations, cached, reads) = processes.check(OPERATIONS).await;
    assert!(
        cached * 10 > reads,
        "{cached} of {reads} reads were answered from memory"
    );
    report(&format!(
        "{PROCESSES} processes, {operations} operations: 0 stale reads; {cached} of {reads} reads \
         from memory"
    ));
}

/// Servers with the same settings, each with a folder of its own.
pub(crate) struct Processes {
    pub(crate) all: Vec<Process>,
    _dirs: Vec<tempfile::TempDir>,
}

impl Processes {
    pub(crate) async fn begin(settings: &str) -> Self {
        let dirs: Vec<_> = (0..PROCESSES).map(|_| folder()).collect();
        let mut all = Vec::new();
        for dir in &dirs {
            let file = dir.path().join("settings.yaml");
            std::fs::write(&file, settings).unwrap();
            let arguments = [
                "--listen",
                "127.0.0.1:0",
                "--config",
                file.to_str().unwrap(),
            ];
            all.push(Process::serve_with(dir.path(), &arguments, &[]).await);
        }
        Self { all, _dirs: dirs }
    }

    /// Works on all of them, so many operations of each worker, and has the history checked. Says how
    /// many there were, and how many of the reads were answered from memory.
    pub(crate) async fn check(&self, operations: u64) -> (usize, u64, u64) {
        let mut first = Client::http(Era::Modern, self.all[0].address).await;
        let mut ids = Vec::new();
        for key in 0..KEYS {
            let content = format!("key{key} original");
            let added = first.ok("memory_add", json!({"content": content})).await;
            ids.push(added["id"].as_str().unwrap().to_owned());
        }
        let shared = Arc::new(Shared {
            ids,
            moments: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        });
        let mut workers = JoinSet::new();
        for seed in 1..=WORKERS {
            let address = self.all[usize::try_from(seed).unwrap() % PROCESSES].address;
            let shared = shared.clone();
            workers.spawn(async move {
                let mut client = Client::http(Era::Modern, address).await;
                let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut log = Vec::new();
                for _ in 0..operations {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let key = u32::try_from((random >> 32) % u64::from(KEYS)).unwrap();
                    log.push(shared.operate(&mut client, key, random >> 3).await);
                }
                log
            });
        }
        let log = workers.join_all().await.concat();
        let mut floors = vec![1; KEYS as usize];
        check(&log, &mut floors).unwrap();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (log.len(), of(&shared.cached), of(&shared.reads))
    }
}

#[expect(clippy::print_stderr, reason = "a figure is part of the result")]
fn report(figure: &str) {
    eprintln!("{figure}");
}
