//! Operations that take too long: given up in time, harmless, and safe to repeat.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use mcp_server::{
    adapters::{BatchConfig, BatchedStore, PromptStore, RepeatableStore},
    call::{Call, Lane},
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, MemoryId, Operation, Outcome,
        Search, Update, Updated,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    contract::{add, get, text},
    store::assert_sound,
    support::{
        PATIENCE, WriteLock, database,
        mcp::{Client, Era},
        process::{Process, folder},
        until, within,
    },
};

/// Short, but there is always something that outlasts it.
const SHORT: Duration = Duration::from_millis(30);

/// Makes every read of a memory in the namespace `stuck` endless.
fn stick(dir: &Path) {
    database(dir)
        .execute_batch(
            "ALTER TABLE memory RENAME TO memory_kept;
             CREATE VIEW memory AS SELECT * FROM memory_kept WHERE namespace <> 'stuck' OR (
                 WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                 SELECT count(*) FROM n
             ) = 0",
        )
        .unwrap();
}

async fn stuck_and_fine(store: &Arc<dyn MemoryStore>) -> (MemoryId, MemoryId) {
    let stuck = Add {
        namespace: Some("stuck".to_owned()),
        ..text("stuck")
    };
    let stuck = add(store, &Call::local(), stuck).await.id;
    (stuck, add(store, &Call::local(), text("fine")).await.id)
}

fn sqlite(dir: &Path, readers: usize) -> Arc<dyn MemoryStore> {
    let config = SqliteConfig {
        readers: readers.try_into().unwrap(),
        ..SqliteConfig::default()
    };
    Arc::new(SqliteStore::open(dir, &config).unwrap())
}

/// The one connection answers afterwards, so the endless read was really ended.
#[tokio::test]
async fn an_endless_read_is_interrupted_and_its_connection_goes_on() {
    let dir = folder();
    let store = sqlite(dir.path(), 1);
    let prompt = PromptStore::new(store.clone(), SHORT);
    let (stuck, fine) = stuck_and_fine(&store).await;
    stick(dir.path());
    let call = Call::local();
    let fine_is_read = async || {
        within("a read", store.get(&call, get(&fine)))
            .await
            .unwrap()
    };

    let error = within("a timeout", prompt.get(&call, get(&stuck))).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("timeout", true));
    fine_is_read().await;

    // A caller that leaves takes its read with it.
    let left = tokio::time::timeout(SHORT, store.get(&call, get(&stuck))).await;
    assert!(left.is_err(), "{left:?}");
    fine_is_read().await;

    // A batch answers what it could read in time.
    let limited = Call {
        deadline: Some(Instant::now() + SHORT * 30),
        ..call.clone()
    };
    let reads = [&fine, &stuck, &fine].map(|id| Operation::Get(get(id)));
    let results = within("a batch", store.batch(&limited, reads.to_vec())).await;
    let codes = results
        .unwrap()
        .into_iter()
        .map(|result| result.err().map(|error| error.code()));
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [None, Some("timeout"), Some("timeout")]
    );
    fine_is_read().await;
}

#[tokio::test]
async fn a_kind_of_client_that_takes_all_it_can_leaves_the_others_their_share() {
    let dir = folder();
    let store = sqlite(dir.path(), 4);
    let (stuck, fine) = stuck_and_fine(&store).await;
    stick(dir.path());
    let mut flood = JoinSet::new();
    for _ in 0..20 {
        let (store, stuck) = (store.clone(), stuck.clone());
        flood.spawn(async move { store.get(&Call::local(), get(&stuck)).await });
    }
    for lane in [Lane::Cursor, Lane::Vscode, Lane::Cursor] {
        let call = Call {
            lane,
            ..Call::local()
        };
        within("a read of another", store.get(&call, get(&fine)))
            .await
            .unwrap();
    }
    assert!(flood.try_join_next().is_none(), "the flood is still there");
    flood.shutdown().await;
    within("a read", store.get(&Call::local(), get(&fine)))
        .await
        .unwrap();
}

/// The database is locked by another process for good; it may wait for ten minutes.
#[tokio::test]
async fn a_server_that_cannot_write_says_so_in_time() {
    let dir = folder();
    let patient = [
        ("MCP_SERVER__MEMORY__SQLITE__BUSY_TIMEOUT", "10m"),
        ("MCP_SERVER__MEMORY__OPERATION_TIMEOUT", "100ms"),
    ];
    let server = Process::serve_with(dir.path(), &["--listen", "127.0.0.1:0"], &patient).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let operations = json!([{"type": "add", "data": {"content": "x"}}]);
    let lock = WriteLock::take(dir.path());
    for (tool, arguments) in [
        ("memory_add", json!({"content": "x"})),
        ("memory_batch", json!({"operations": operations})),
    ] {
        let begun = Instant::now();
        let failed = client.call(tool, arguments).await;
        println!("{tool} gave up after {:?}", begun.elapsed());
        let error = &failed["_meta"]["error"];
        assert_eq!(
            (&failed["isError"], &error["retryable"]),
            (&json!(true), &json!(true))
        );
        let code = error["code"].as_str().unwrap();
        assert!(
            ["unavailable", "timeout", "outcome_unknown"].contains(&code),
            "{failed}"
        );
    }
    until("reads, which go on", async || {
        let search = client.call("memory_search", json!({"query": "x"})).await;
        (search["isError"] == false).then_some(())
    })
    .await;
    drop(lock);
    let written = until("the lock to be free", async || {
        let written = client.call("memory_add", json!({"content": "x"})).await;
        (written["isError"] == false).then_some(written)
    });
    written.await;
}

fn stack(store: Arc<SqliteStore>) -> RepeatableStore {
    let batched = BatchedStore::new(store, &BatchConfig::default()).unwrap();
    RepeatableStore::new(Arc::new(PromptStore::new(Arc::new(batched), SHORT)))
}

fn ids(dir: &Path, content: &str) -> Vec<String> {
    let database = database(dir);
    database.busy_timeout(PATIENCE).unwrap();
    let mut ids = database
        .prepare("SELECT id FROM memory WHERE content = ?1 ORDER BY row")
        .unwrap();
    let ids = ids.query_map([content], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

/// A step of SQLite that nothing can interrupt keeps the store from saying what became of the write,
/// which then succeeds. The repeated add is the one that is there already.
#[tokio::test]
async fn a_write_that_nobody_knows_of_may_be_repeated() {
    let dir = folder();
    let sqlite = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let store = stack(Arc::new(sqlite));
    let call = Call::local();
    database(dir.path())
        .execute_batch(
            "CREATE TRIGGER slow BEFORE INSERT ON memory WHEN new.content = 'slow' BEGIN
                 SELECT instr(hex(zeroblob(100000)), hex(zeroblob(30000)) || '1');
             END",
        )
        .unwrap();
    let batch = || {
        ["slow", "quick", "slow"]
            .map(|text_of| Operation::Add(text(text_of)))
            .to_vec()
    };
    // Whatever did not even begin in time has another error, and nothing was done.
    let lone = until("an unknown outcome", async || {
        let error = store.add(&call, text("slow")).await.unwrap_err();
        (error.code() == "outcome_unknown").then_some(error)
    });
    assert!(lone.await.is_retryable());
    until("the write", async || {
        (ids(dir.path(), "slow").len() == 1).then_some(())
    })
    .await;
    until("an unknown outcome", async || {
        let error = store.batch(&call, batch()).await.unwrap_err();
        (error.code() == "outcome_unknown").then_some(())
    })
    .await;
    let other = database(dir.path());
    other.busy_timeout(PATIENCE).unwrap();
    other.execute_batch("DROP TRIGGER slow").unwrap();

    // Repeated until it is acknowledged, as a client would.
    let repeated = until("the repeated add", async || {
        store.add(&call, text("slow")).await.ok()
    });
    let repeated = repeated.await;
    let known = ids(dir.path(), "slow");
    assert!(
        known.contains(&repeated.id.to_string()),
        "{known:?}: {repeated:?}"
    );
    let again = until("the repeated batch", async || {
        store.batch(&call, batch()).await.ok()
    })
    .await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    let slow = ids(dir.path(), "slow");
    assert_eq!(
        (slow.len(), ids(dir.path(), "quick").len()),
        (3, 1),
        "{slow:?}"
    );
    // What was acknowledged is settled: another equal add is another memory.
    let another = until("another add", async || {
        store.add(&call, text("slow")).await.ok()
    })
    .await;
    assert!(!slow.contains(&another.id.to_string()));
    assert_sound(dir.path());
}

#[tokio::test]
async fn an_add_whose_caller_has_gone_may_be_repeated() {
    let dir = folder();
    let sqlite = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let sqlite: Arc<dyn MemoryStore> = Arc::new(sqlite);
    let store = RepeatableStore::new(sqlite);
    let call = Call::local();
    for n in 0..50 {
        let content = format!("dropped {n}");
        // Polled once, then dropped: it may be stored or not.
        let acknowledged = tokio::select! {
            biased;
            added = store.add(&call, text(&content)) => added.is_ok(),
            () = std::future::ready(()) => false,
        };
        if !acknowledged {
            store.add(&call, text(&content)).await.unwrap();
        }
        assert_eq!(ids(dir.path(), &content).len(), 1);
    }
}

/// Says nothing, for ever.
struct Silent;

#[async_trait]
impl MemoryStore for Silent {
    async fn add(&self, _: &Call, _: Add) -> Result<Added, MemoryError> {
        std::future::pending().await
    }
    async fn search(&self, _: &Call, _: Search) -> Result<Found, MemoryError> {
        std::future::pending().await
    }
    async fn get(&self, _: &Call, _: Get) -> Result<Arc<Memory>, MemoryError> {
        std::future::pending().await
    }
    async fn update(&self, _: &Call, _: Update) -> Result<Updated, MemoryError> {
        std::future::pending().await
    }
    async fn delete(&self, _: &Call, _: Delete) -> Result<Deleted, MemoryError> {
        std::future::pending().await
    }
    async fn batch(
        &self,
        _: &Call,
        _: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_takes_longer_than_a_tenth_more_than_its_time() {
    let store = PromptStore::new(Arc::new(Silent), Duration::from_millis(100));
    let call = Call::local();
    let id = MemoryId::generate();
    let update: Update = serde_json::from_value(json!({"id": id, "content": "x"})).unwrap();
    let begun = Instant::now();
    let in_time = |begun: Instant| assert!(begun.elapsed() <= Duration::from_millis(110));
    let errors = tokio::join!(
        store.add(&call, text("x")),
        store.update(&call, update),
        store.delete(&call, Delete { id: id.clone() }),
        store.batch(&call, vec![Operation::Add(text("x"))]),
        store.get(&call, get(&id)),
        store.search(&call, Search::default()),
        store.batch(&call, vec![Operation::Get(get(&id))]),
    );
    in_time(begun);
    let writes = [
        errors.0.unwrap_err(),
        errors.1.unwrap_err(),
        errors.2.unwrap_err(),
        errors.3.unwrap_err(),
    ];
    assert!(
        writes.iter().all(|error| error.code() == "outcome_unknown"),
        "{writes:?}"
    );
    let reads = [
        errors.4.unwrap_err(),
        errors.5.unwrap_err(),
        errors.6.unwrap_err(),
    ];
    assert!(
        reads.iter().all(|error| error.code() == "timeout"),
        "{reads:?}"
    );
}
