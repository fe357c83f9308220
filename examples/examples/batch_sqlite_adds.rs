//! Adds to SQLite, one transaction each, beside adds that share transactions.
//!
//! ```text
//! cargo run -p examples --example batch_sqlite_adds
//! ```
//!
//! Thirty-two tasks add notes to a database on disk, and each waits until its
//! note is durable. One by one, every add pays for a commit. Through the
//! processor, whoever adds while a commit is under way shares the next one:
//! group commit, with a result for each add all the same. A note that breaks a
//! rule of the table fails alone.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::check;
use mcp_batch::{BatchProcessor, Config, Error as BatchError};
use rusqlite::{Connection, Transaction};
use std::{
    error::Error,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

const TASKS: usize = 32;
const ADDS_PER_TASK: usize = 40;
const ADDS: usize = TASKS * ADDS_PER_TASK;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// The row's number, or why it was not added.
type Added = std::result::Result<i64, String>;
type Adds = BatchProcessor<String, i64, String>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let alone = Store::open(&folder.path().join("alone.db"))?;
    let store = alone.clone();
    let alone_took = run(move |note| store.clone().add_alone(note)).await?;
    let shared = Store::open(&folder.path().join("shared.db"))?;
    let adds = shared.clone().processor()?;
    let handle = adds.clone();
    let shared_took = run(move |note| add_shared(handle.clone(), note)).await?;

    let bad = adds.process_batch(vec!["fine".into(), String::new()]).await;
    adds.shutdown().await;
    let stats = adds.stats();
    let per_second = |took: Duration| ADDS as f64 / took.as_secs_f64();
    let (alone_rate, shared_rate) = (per_second(alone_took), per_second(shared_took));
    println!("one by one: {alone_rate:>8.0} adds/s in {ADDS} transactions");
    println!(
        "together:   {shared_rate:>8.0} adds/s in {} batches",
        stats.batches
    );
    check(alone.count()? == ADDS, "one by one, every row is there")?;
    check(shared.count()? == ADDS + 1, "together, every row is there")?;
    check(bad[0].is_ok(), "an add is not harmed by its neighbour")?;
    check(
        matches!(&bad[1], Err(BatchError::Item(_))),
        "a bad one fails alone",
    )?;
    check(
        shared_rate >= 1.4 * alone_rate,
        "together is at least 1.4 times as fast",
    )
}

/// All tasks add their notes; each add must succeed.
async fn run<F>(add: impl Fn(String) -> F + Clone + Send + 'static) -> Result<Duration>
where
    F: Future<Output = Added> + Send + 'static,
{
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let add = add.clone();
        tasks.spawn(adds_of(task, add));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(start.elapsed())
}

async fn adds_of<F>(task: usize, add: impl Fn(String) -> F) -> std::result::Result<(), String>
where
    F: Future<Output = Added>,
{
    for note in 0..ADDS_PER_TASK {
        add(format!("note {note} of task {task}")).await?;
    }
    Ok(())
}

async fn add_shared(adds: Adds, note: String) -> Added {
    adds.submit(note).await.map_err(|error| error.to_string())
}

#[derive(Clone)]
struct Store(Arc<Mutex<Connection>>);

impl Store {
    fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A commit is on the disk when it returns.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (text <> ''))",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// SQLite has one writer: one batch at a time, on a thread that may block.
    fn processor(self) -> Result<Adds> {
        let config = Config {
            max_concurrent_batches: 1,
            ..Config::default()
        };
        let adds = BatchProcessor::new(&config, move |notes: Vec<String>| {
            let (store, len) = (self.clone(), notes.len());
            async move {
                let added = tokio::task::spawn_blocking(move || store.add_all(&notes)).await;
                let added = added.map_err(|error| error.to_string());
                // Nothing was committed: every add of the batch failed.
                added
                    .flatten()
                    .unwrap_or_else(|error| vec![Err(error); len])
            }
        })?;
        Ok(adds)
    }

    async fn add_alone(self, note: String) -> Added {
        let added = tokio::task::spawn_blocking(move || self.add_all(&[note])).await;
        let added = added.map_err(|error| error.to_string()).flatten()?;
        added.into_iter().next().ok_or("no result")?
    }

    /// One transaction; a statement that fails changes nothing, and the others
    /// of the transaction stand.
    fn add_all(&self, notes: &[String]) -> std::result::Result<Vec<Added>, String> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add_all = || {
            let transaction = connection.transaction()?;
            let added: Vec<Added> = notes.iter().map(|note| add(&transaction, note)).collect();
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(added)
        };
        add_all().map_err(|error| error.to_string())
    }

    fn count(&self) -> Result<usize> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connection.query_row("SELECT count(*) FROM notes", (), |row| row.get(0))?;
        Ok(count)
    }
}

fn add(transaction: &Transaction<'_>, note: &str) -> Added {
    let added = transaction
        .prepare_cached("INSERT INTO notes (text) VALUES (?1)")
        .and_then(|mut statement| statement.insert([note]));
    added.map_err(|error| error.to_string())
}
