//! The embedded store: one SQLite file in WAL mode, one writer thread, several reader threads.
//!
//! The file may be opened by several processes at once; SQLite's own locks order their writes.

mod archive;
mod budget;
mod config;
mod error;
mod executor;
mod expiry;
mod feed;
mod index;
mod open;
mod rows;
mod schema;
mod search;
mod wal;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

pub use config::SqliteConfig;
pub use error::OpenError;
pub use index::{IndexConfig, IndexReadiness};

use self::{
    budget::Budget,
    executor::{Executor, Gone},
    expiry::Sweeper,
    index::{Indexer, LiveIndex},
    wal::WalIndex,
};
use super::{
    Add, Added, Cursor, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome,
    Owner, Page, Restored, Search, Update, Updated,
};
use crate::{
    call::Call,
    ports::{MemoryArchive, MemoryStore, Readiness},
};

/// The embedded [`MemoryStore`].
///
/// Dropping it answers what is queued, then ends its threads; the drop blocks until then.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Executor,
    readers: Executor,
    /// Reads the changes, apart from the searches that may be long.
    feed: Executor,
    wal: WalIndex,
    sweeper: Sweeper,
    index: Arc<LiveIndex>,
    indexer: Indexer,
    answer_bytes_max: usize,
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
        let (indexer, index) = Indexer::start(dir, open::reader(&path, config)?, &config.index)
            .map_err(|source| OpenError::Thread { source })?;
        let feed = open::reader(&path, config)?;
        let wal = WalIndex::open(&path);
        let queue_len_max = config.queue_len_max.get();
        let spawn = |name, connections| {
            Executor::spawn(name, connections, queue_len_max)
                .map_err(|source| OpenError::Thread { source })
        };
        Ok(Self {
            writer: spawn("memory-writer", vec![writer])?,
            readers: spawn("memory-reader", readers)?,
            feed: spawn("memory-feed", vec![feed])?,
            wal,
            sweeper: Sweeper::default(),
            index,
            indexer,
            answer_bytes_max: config.answer_bytes_max.get(),
        })
    }

    /// Tells whether searches are answered, or how far the index has been made again.
    #[must_use]
    pub fn index_readiness(&self) -> IndexReadiness {
        self.indexer.readiness()
    }

    fn budget(&self) -> Budget {
        Budget::new(self.answer_bytes_max)
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, Gone<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        self.readers
            .run(move |connection, gone| job(connection, gone))
            .await
    }

    /// `changes`: how many rows it changes at most.
    async fn write<T: Send + 'static>(
        &self,
        changes: usize,
        job: impl FnOnce(&Transaction<'_>, Gone<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        let result = self
            .writer
            .run(move |connection, gone| in_transaction(connection, |tx| job(tx, gone)))
            .await;
        self.indexer.wrote(changes);
        self.sweeper.sweep_if_due(&self.writer, &self.index);
        result
    }
}

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        let owner = call.owner.clone();
        self.write(1, move |tx, _| rows::add(tx, &owner, &add))
            .await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        let owner = call.owner.clone();
        let mut budget = self.budget();
        let index = self.index.clone();
        self.read(move |db, gone| search::search(db, &index, &owner, &search, &mut budget, gone))
            .await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Memory, MemoryError> {
        let owner = call.owner.clone();
        let mut budget = self.budget();
        self.read(move |db, _| rows::get(db, &owner, &get, &mut budget))
            .await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        let owner = call.owner.clone();
        self.write(1, move |tx, _| rows::update(tx, &owner, &update))
            .await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        let owner = call.owner.clone();
        self.write(1, move |tx, _| rows::delete(tx, &owner, &delete))
            .await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let scope = Scope {
            owner: call.owner.clone(),
            index: self.index.clone(),
        };
        let budget = self.budget();
        let reads_only = operations
            .iter()
            .all(|operation| matches!(operation, Operation::Get(_) | Operation::Search(_)));
        if reads_only {
            return self
                .read(move |db, gone| run_all(db, &scope, &operations, budget, gone))
                .await;
        }
        let changes = operations.len();
        self.write(changes, move |tx, gone| {
            run_all(tx, &scope, &operations, budget, gone)
        })
        .await
    }
}

#[async_trait]
impl MemoryArchive for SqliteStore {
    async fn page(
        &self,
        owner: &Owner,
        namespace: Option<&str>,
        after: Option<Cursor>,
        len_max: usize,
    ) -> Result<Page, MemoryError> {
        let (owner, namespace) = (owner.clone(), namespace.map(str::to_owned));
        let mut budget = self.budget();
        self.read(move |db, _| {
            archive::page(
                db,
                &owner,
                namespace.as_deref(),
                after,
                len_max,
                &mut budget,
            )
        })
        .await
    }

    async fn restore(
        &self,
        owner: &Owner,
        memories: Vec<Memory>,
    ) -> Result<Vec<Restored>, MemoryError> {
        let owner = owner.clone();
        self.write(memories.len(), move |tx, _| {
            archive::restore(tx, &owner, &memories)
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
        let read = self.read(|db, _| {
            let newest = "SELECT max(row) FROM memory";
            Ok(db.query_row(newest, [], |row| row.get::<_, Option<i64>>(0))?)
        });
        let write = self.writer.run(|_, _| Ok(()));
        match tokio::try_join!(read, write) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Whose memories a batch is about, and where their words are.
struct Scope {
    owner: Owner,
    index: Arc<LiveIndex>,
}

/// Runs the operations of a batch in order. What the caller got wrong fails by itself, and always
/// before it has written anything; what the database gets wrong fails the whole batch.
fn run_all(
    db: &Connection,
    scope: &Scope,
    operations: &[Operation],
    mut budget: Budget,
    gone: Gone<'_>,
) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
    operations
        .iter()
        .map(
            |operation| match run(db, scope, operation, &mut budget, gone) {
                Err(
                    error @ (MemoryError::NotFound { .. }
                    | MemoryError::VersionConflict { .. }
                    | MemoryError::AnswerTooLarge { .. }
                    | MemoryError::IndexNotReady { .. }),
                ) => Ok(Err(error)),
                Err(error) => Err(error),
                Ok(outcome) => Ok(Ok(outcome)),
            },
        )
        .collect()
}

fn run(
    db: &Connection,
    scope: &Scope,
    operation: &Operation,
    budget: &mut Budget,
    gone: Gone<'_>,
) -> Result<Outcome, MemoryError> {
    let Scope { owner, index } = scope;
    Ok(match operation {
        Operation::Add(add) => Outcome::Added(rows::add(db, owner, add)?),
        Operation::Search(search) => {
            Outcome::Found(search::search(db, index, owner, search, budget, gone)?)
        }
        Operation::Get(get) => Outcome::Memory(rows::get(db, owner, get, budget)?),
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
    commit(tx)?;
    Ok(value)
}

fn commit(tx: Transaction<'_>) -> Result<(), MemoryError> {
    tx.commit()
        .map_err(|error| match error.sqlite_error_code() {
            // Part of the transaction may have reached the disk, and the rest may follow.
            Some(ErrorCode::SystemIoFailure) => MemoryError::OutcomeUnknown {
                reason: error.to_string(),
            },
            _ => error.into(),
        })
}

impl From<rusqlite::Error> for MemoryError {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable { reason },
            _ => Self::Internal { reason },
        }
    }
}
