//! The embedded store: one SQLite file in WAL mode, one writer thread, several reader threads.
//!
//! The file may be opened by several processes at once; SQLite's own locks order their writes.

mod config;
mod error;
mod executor;
mod expiry;
mod open;
mod rows;
mod schema;
mod search;

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use config::SqliteConfig;
pub use error::OpenError;

use self::{executor::Executor, expiry::Sweeper};
use super::{
    Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Owner,
    Search, Update, Updated,
};
use crate::ports::{MemoryStore, Readiness};

/// The embedded [`MemoryStore`].
///
/// Dropping it answers what is queued, then ends its threads; the drop blocks until then.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Executor,
    readers: Executor,
    sweeper: Sweeper,
}

impl SqliteStore {
    /// Opens or creates the database `memory.db` in `dir`, and the folder itself, readable by this
    /// user only. Brings an older schema up to date.
    ///
    /// Blocks on the file system; call it before serving.
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the path, the cause and the way out.
    pub fn open(dir: &Path, config: &SqliteConfig) -> Result<Self, OpenError> {
        let path = open::prepare_dir(dir)?;
        let writer = open::writer(&path, config)?;
        let readers = (0..config.readers.get())
            .map(|_| open::reader(&path, config))
            .collect::<Result<Vec<_>, _>>()?;
        let queue_len_max = config.queue_len_max.get();
        let spawn = |name, connections| {
            Executor::spawn(name, connections, queue_len_max)
                .map_err(|source| OpenError::Thread { source })
        };
        Ok(Self {
            writer: spawn("memory-writer", vec![writer])?,
            readers: spawn("memory-reader", readers)?,
            sweeper: Sweeper::default(),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        self.readers.run(move |connection| job(connection)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        let result = self
            .writer
            .run(move |connection| in_transaction(connection, job))
            .await;
        self.sweeper.sweep_if_due(&self.writer);
        result
    }
}

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn add(&self, owner: &Owner, add: Add) -> Result<Added, MemoryError> {
        let owner = owner.clone();
        self.write(move |tx| rows::add(tx, &owner, &add)).await
    }

    async fn search(&self, owner: &Owner, search: Search) -> Result<Found, MemoryError> {
        let owner = owner.clone();
        self.read(move |db| search::search(db, &owner, &search))
            .await
    }

    async fn get(&self, owner: &Owner, get: Get) -> Result<Memory, MemoryError> {
        let owner = owner.clone();
        self.read(move |db| rows::get(db, &owner, &get)).await
    }

    async fn update(&self, owner: &Owner, update: Update) -> Result<Updated, MemoryError> {
        let owner = owner.clone();
        self.write(move |tx| rows::update(tx, &owner, &update))
            .await
    }

    async fn delete(&self, owner: &Owner, delete: Delete) -> Result<Deleted, MemoryError> {
        let owner = owner.clone();
        self.write(move |tx| rows::delete(tx, &owner, &delete))
            .await
    }

    async fn batch(
        &self,
        owner: &Owner,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let owner = owner.clone();
        let reads_only = operations
            .iter()
            .all(|operation| matches!(operation, Operation::Get(_) | Operation::Search(_)));
        if reads_only {
            return self
                .read(move |db| {
                    Ok(operations
                        .iter()
                        .map(|operation| run(db, &owner, operation))
                        .collect())
                })
                .await;
        }
        self.write(move |tx| {
            operations
                .iter()
                .map(|operation| in_savepoint(tx, || run(tx, &owner, operation)))
                .collect()
        })
        .await
    }
}

#[async_trait]
impl Readiness for SqliteStore {
    fn name(&self) -> &'static str {
        "memory_store"
    }

    async fn check(&self) -> Result<(), String> {
        self.read(|db| db.query_row("SELECT 1", [], |_| Ok(())).map_err(Into::into))
            .await
            .map_err(|error| error.to_string())
    }
}

fn run(db: &Connection, owner: &Owner, operation: &Operation) -> Result<Outcome, MemoryError> {
    Ok(match operation {
        Operation::Add(add) => Outcome::Added(rows::add(db, owner, add)?),
        Operation::Search(search) => Outcome::Found(search::search(db, owner, search)?),
        Operation::Get(get) => Outcome::Memory(rows::get(db, owner, get)?),
        Operation::Update(update) => Outcome::Updated(rows::update(db, owner, update)?),
        Operation::Delete(delete) => Outcome::Deleted(rows::delete(db, owner, delete)?),
    })
}

/// Takes the write lock at once: a lock that is upgraded half-way can only fail.
fn in_transaction<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = job(&tx)?;
    tx.commit()?;
    Ok(value)
}

/// Runs one operation of a batch so that its failure undoes nothing but itself. The outer `Err`
/// is the database failing, which ends the whole batch.
fn in_savepoint<T>(
    tx: &Transaction<'_>,
    job: impl FnOnce() -> Result<T, MemoryError>,
) -> Result<Result<T, MemoryError>, MemoryError> {
    tx.prepare_cached("SAVEPOINT operation")?.execute([])?;
    let result = job();
    if matches!(result, Err(MemoryError::Unavailable { .. })) {
        return result.map(Ok);
    }
    if result.is_err() {
        tx.prepare_cached("ROLLBACK TO operation")?.execute([])?;
    }
    tx.prepare_cached("RELEASE operation")?.execute([])?;
    Ok(result)
}

impl From<rusqlite::Error> for MemoryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable {
            reason: error.to_string(),
        }
    }
}
