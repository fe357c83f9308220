//! What goes wrong with a database, driven through the whole server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_server::{
    adapters::{
        BatchConfig, BatchedStore, GuardConfig, GuardedStore, PromptStore, RepeatableStore,
    },
    call::Call,
    memory::{
        MemoryError,
        postgres::{PostgresConfig, PostgresError, PostgresStore},
    },
    ports::MemoryStore,
    telemetry::SlowOperationsConfig,
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    contract::{call, get, text},
    support::{
        mcp::{Client, Era},
        postgres::{Postgres, dsn},
        process::{Process, folder},
        until, within,
    },
};

const TIMEOUT: Duration = Duration::from_millis(300);
/// How much later than its deadline a call may be told so on a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(700);

/// The store as the server has it, but for the cache, so that every call reaches the database.
fn stack(store: Arc<PostgresStore>) -> Arc<dyn MemoryStore> {
    let batched = Arc::new(BatchedStore::new(store, &BatchConfig::default()).unwrap());
    let prompt = Arc::new(PromptStore::new(batched, TIMEOUT));
    let guard = GuardConfig {
        timeout: Duration::from_millis(500),
        ..GuardConfig::default()
    };
    let repeatable = Arc::new(RepeatableStore::new(prompt));
    Arc::new(GuardedStore::new(repeatable, &guard).unwrap())
}

/// Writers that note what was acknowledged, until they are told to end.
pub(super) struct Load {
    end: Arc<AtomicBool>,
    writers: JoinSet<Written>,
}

#[derive(Default)]
pub(super) struct Written {
    pub(super) acknowledged: Vec<mcp_server::memory::MemoryId>,
    pub(super) failed: usize,
    pub(super) longest: Duration,
}

impl Load {
    pub(super) fn begin(store: &Arc<dyn MemoryStore>, call: &Call) -> Self {
        let end = Arc::<AtomicBool>::default();
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (store, call, end) = (store.clone(), call.clone(), end.clone());
            writers.spawn(async move {
                let mut written = Written::default();
                let mut n = 0;
                while !end.load(Ordering::Relaxed) {
                    n += 1;
                    let began = Instant::now();
                    match store.add(&call, text(&format!("{writer} {n}"))).await {
                        Ok(added) => written.acknowledged.push(added.id),
                        Err(error) => {
                            assert!(error.is_retryable(), "{error}");
                            written.failed += 1;
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    written.longest = written.longest.max(began.elapsed());
                }
                written
            });
        }
        Self { end, writers }
    }

    pub(super) async fn end(self) -> Written {
        self.end.store(true, Ordering::Relaxed);
        let all = within("the writers", self.writers.join_all()).await;
        all.into_iter().fold(Written::default(), |mut sum, one| {
            sum.acknowledged.extend(one.acknowledged);
            sum.failed += one.failed;
            sum.longest = sum.longest.max(one.longest);
            sum
        })
    }
}

/// Works again, by itself, and everything that was acknowledged is there.
async fn recovered(store: &Arc<dyn MemoryStore>, call: &Call, what: &str, load: Load) {
    let back = Instant::now();
    until("the store to work again", async || {
        store.add(call, text("again")).await.ok()
    })
    .await;
    let after = back.elapsed();
    let written = load.end().await;
    assert!(
        written.longest < TIMEOUT + SLACK,
        "{what}: a call took {:?}",
        written.longest
    );
    let mut lost = 0;
    for id in &written.acknowledged {
        lost += usize::from(store.get(call, get(id)).await.is_err());
    }
    assert_eq!(
        lost,
        0,
        "{what}: of {} acknowledged",
        written.acknowledged.len()
    );
    report(&format!(
        "{what}: {} writes acknowledged, 0 lost; {} refused, longest call {:?} of {TIMEOUT:?}; \
         works again after {after:?}",
        written.acknowledged.len(),
        written.failed,
        written.longest
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_loses_nothing_and_holds_nobody_up() {
    let Some(mut server) = Postgres::start_with("trust", &["fsync=on"]).await else {
        return;
    };
    let dir = folder();
    let opened = Arc::new(server.open(dir.path()).await);
    let (store, call) = (stack(opened.clone()), call());
    let load = Load::begin(&store, &call);
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.kill().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.start_again().await;
    recovered(&store, &call, "primary killed and restarted", load).await;
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_holds_nobody_up() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let opened = Arc::new(server.open(dir.path()).await);
    let (store, call) = (stack(opened.clone()), call());
    let load = Load::begin(&store, &call);
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.hang();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    server.go_on();
    recovered(&store, &call, "primary hung for 2.5 s", load).await;
    opened.close().await;
}

/// All connections are held: calls are told so in time, and go on as soon as one is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_refuses_in_time() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let config = PostgresConfig {
        connections_max: 20.try_into().unwrap(),
        connections_idle_max: 20,
        statement_timeout: Duration::from_secs(60),
        slow_queries: SlowOperationsConfig {
            threshold: Duration::from_millis(200),
            ..SlowOperationsConfig::default()
        },
        ..server.config()
    };
    let store = Arc::new(PostgresStore::open(dir.path(), &config).await.unwrap());
    let (mut call, id) = (call(), mcp_server::memory::MemoryId::generate());
    let lock = server.client().await;
    let locked = "BEGIN; LOCK TABLE mcp_server.memory IN ACCESS EXCLUSIVE MODE";
    lock.batch_execute(locked).await.unwrap();
    call.deadline = Some(Instant::now() + Duration::from_secs(2));
    let mut readers = JoinSet::new();
    for _ in 0..25 {
        let (store, call, id) = (store.clone(), call.clone(), id.clone());
        readers.spawn(async move { store.get(&call, get(&id)).await.unwrap_err() });
    }
    let mut late = call.clone();
    late.deadline = Some(Instant::now() + TIMEOUT);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    let error = store.get(&late, get(&id)).await.unwrap_err();
    assert!(matches!(error, MemoryError::Timeout), "{error}");
    assert!(began.elapsed() < TIMEOUT + SLACK, "{:?}", began.elapsed());
    for error in within("the readers", readers.join_all()).await {
        assert!(matches!(error, MemoryError::Timeout), "{error}");
    }
    assert!(
        !store.slow_queries().latest().is_empty(),
        "what was given up was slow"
    );
    // What was given up was cancelled: nobody waits for the lock any more.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("the server to have given up", async || {
        let row = lock.query_one(waiting, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    call.deadline = None;
    let error = store.get(&call, get(&id)).await.unwrap_err();
    assert!(matches!(error, MemoryError::NotFound { .. }), "{error}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_nobody_there_are_told_with_the_way_out() {
    let Some(server) = Postgres::start_with("scram-sha-256", &[]).await else {
        return;
    };
    let dir = folder();
    server.open(dir.path()).await.close().await;
    let refused = async |text: String| {
        let config = PostgresConfig {
            dsn: Some(dsn(&text)),
            acquire_timeout: Duration::from_secs(1),
            ..PostgresConfig::default()
        };
        let began = Instant::now();
        let error = PostgresStore::open(dir.path(), &config).await.unwrap_err();
        assert!(
            matches!(error, PostgresError::Unreachable { .. }),
            "{error}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        let said = error.to_string();
        assert!(
            !said.contains("wrong:") && !said.contains("hunter2"),
            "{said}"
        );
        said
    };
    let wrong = server.dsn().replace("secret", "hunter2");
    let said = refused(wrong).await;
    assert!(said.contains("password authentication failed"), "{said}");
    let nowhere = server.dsn().replace(&server.port.to_string(), "1");
    let said = refused(nowhere).await;
    assert!(said.contains("refused"), "{said}");
}

/// The whole server on PostgreSQL, set by the names of an earlier program; and what it says where it
/// cannot start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_serves_from_it() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let settings = format!(
        "context_manager: {{database: {{dsn: '{}'}}}}\n",
        server.dsn()
    );
    std::fs::write(&file, settings).unwrap();
    let path = file.to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--config", path];
    let patience = [("MCP_SERVER__MEMORY__OPERATION_TIMEOUT", "30s")];
    let process = Process::serve_with(dir.path(), &arguments, &patience).await;
    let mut client = Client::http(Era::Modern, process.address).await;
    client
        .ok(
            "memory_add",
            serde_json::json!({"content": "kept in PostgreSQL"}),
        )
        .await;
    let found = client
        .ok("memory_search", serde_json::json!({"query": "kept"}))
        .await;
    assert_eq!(
        found["memories"][0]["content"], "kept in PostgreSQL",
        "{found}"
    );
    client
        .ok(
            "context_put",
            serde_json::json!({"id": "a", "content": "x"}),
        )
        .await;
    let rows = "SELECT (SELECT count(*) FROM mcp_server.memory), \
                       (SELECT count(*) FROM mcp_server.context)";
    let row = server.client().await.query_one(rows, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1));
    assert!(!dir.path().join("memory.db").exists());
}

#[expect(clippy::print_stderr, reason = "a figure is part of the result")]
pub(super) fn report(figure: &str) {
    eprintln!("{figure}");
}
