//! The embedded store: one SQLite file in WAL mode, one writer thread, a pool of readers.
//!
//! The file may be opened by several processes at once; SQLite's own locks order their writes.

mod archive;
mod config;
mod contexts;
mod error;
mod executor;
mod expiry;
mod feed;
mod group;
mod index;
mod inspect;
mod open;
mod readers;
mod rows;
mod schema;
mod search;
mod wal;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Transaction};
use tokio::time::Instant;

pub use config::SqliteConfig;
pub use error::OpenError;
pub use inspect::{Inspection, inspect};

use self::{
    executor::{Executor, Stop},
    expiry::Sweeper,
    group::{Scope, in_transaction},
    index::Log,
    readers::Readers,
    wal::WalIndex,
};
use super::{
    Add, Added, Cursor, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome,
    Owner, Page, Restored, Search, Update, Updated, Write, Written,
    budget::Budget,
    search::{IndexReadiness, Indexer, LiveIndex},
};
use crate::{
    call::{Call, Lane},
    monitoring::DependencyKind,
    ports::{GroupCommit, MemoryArchive, MemoryStore, Readiness},
};

/// The embedded [`MemoryStore`].
///
/// Dropping it answers what is queued, then ends its threads; the drop blocks until then.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Executor,
    readers: Readers,
    /// Reads the changes, apart from the searches that may be long.
    feed: Executor,
    wal: WalIndex,
    sweeper: Sweeper,
    index: Arc<LiveIndex>,
    indexer: Indexer,
    answer_bytes_max: usize,
    busy_timeout: Duration,
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
        let threads = |source| OpenError::Thread { source };
        let (indexer, index) =
            Indexer::start(dir, Log(open::reader(&path, config)?), &config.index)
                .map_err(threads)?;
        let feed = open::reader(&path, config)?;
        let spawn = |name, connection| {
            Executor::spawn(name, connection, config.queue_len_max.get()).map_err(threads)
        };
        Ok(Self {
            writer: spawn("memory-writer", writer)?,
            readers: Readers::new(&path, config),
            feed: spawn("memory-feed", feed)?,
            wal: WalIndex::open(&path),
            sweeper: Sweeper::default(),
            index,
            indexer,
            answer_bytes_max: config.answer_bytes_max.get(),
            busy_timeout: config.busy_timeout,
        })
    }

    /// Tells whether searches are answered, or how far the index has been made again.
    #[must_use]
    pub fn index_readiness(&self) -> IndexReadiness {
        self.indexer.readiness()
    }

    /// Rehearses a write and undoes it, so that the first one finds its statements prepared and its
    /// pages read.
    pub async fn rehearse(&self, call: &Call, add: Add) {
        let (patience, owner) = (self.busy_timeout, call.owner.clone());
        let rehearsal = move |connection: &mut Connection, stop: Stop<'_>| {
            in_transaction(connection, patience, stop, |tx| {
                rows::add(tx, &owner, &add)?;
                Err::<(), _>(MemoryError::Timeout)
            })
        };
        // It always fails: that is what undoes it.
        let _ = self.writer.run(call.deadline, rehearsal).await;
    }

    /// Has what is due written to the search index, and ends the thread that does it. The store
    /// goes on; the next one to be opened has less to catch up with.
    ///
    /// Blocks until that is done.
    pub fn end_indexing(&self) {
        self.indexer.end();
    }

    /// The counters of the connections that read, by kind of client; without those that have not read
    /// yet.
    #[must_use]
    pub fn reader_stats(&self) -> Vec<(String, mcp_pool::Stats)> {
        self.readers.stats()
    }

    fn budget(&self) -> Budget {
        Budget::new(self.answer_bytes_max)
    }

    fn scope(&self) -> Scope {
        Scope {
            index: self.index.clone(),
            answer_bytes_max: self.answer_bytes_max,
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        call: &Call,
        job: impl FnOnce(&Connection, Stop<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        self.readers.run(call.lane, call.deadline, job).await
    }

    /// `changes`: how many rows it changes at most.
    async fn write<T: Send + 'static>(
        &self,
        changes: usize,
        deadline: Option<Instant>,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        let patience = self.busy_timeout;
        let result = self
            .writer
            .run(deadline, move |connection, stop| {
                in_transaction(connection, patience, stop, job)
            })
            .await;
        self.indexer.wrote(changes);
        self.sweeper.sweep_if_due(&self.writer, &self.index);
        result
    }

    async fn write_one<T>(&self, call: &Call, operation: Operation) -> Result<T, MemoryError>
    where
        T: TryFrom<Outcome, Error = MemoryError>,
    {
        Write::only(self.commit_one(Write::one(call, operation)).await)
    }

    async fn commit_one(&self, write: Write) -> Written {
        self.commit(vec![write])
            .await
            .pop()
            .expect("one result per write")
    }
}

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.write_one(call, Operation::Add(add)).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        let owner = call.owner.clone();
        let mut budget = self.budget();
        let index = self.index.clone();
        self.read(call, move |db, stop| {
            search::search(db, &index, &owner, &search, &mut budget, stop)
        })
        .await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        let owner = call.owner.clone();
        let mut budget = self.budget();
        self.read(call, move |db, _| rows::get(db, &owner, &get, &mut budget))
            .await
            .map(Arc::new)
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.write_one(call, Operation::Update(update)).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.write_one(call, Operation::Delete(delete)).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        if operations.iter().all(Operation::is_read) {
            let (scope, owner) = (self.scope(), call.owner.clone());
            let all = move |db: &Connection, stop: Stop<'_>| {
                group::run_all(db, &scope, &owner, &operations, stop)
            };
            return self.read(call, all).await;
        }
        let call = call.clone();
        self.commit_one(Write { call, operations }).await
    }
}

#[async_trait]
impl GroupCommit for SqliteStore {
    async fn commit(&self, writes: Vec<Write>) -> Vec<Written> {
        let len = writes.len();
        let changes = writes.iter().map(|write| write.operations.len()).sum();
        let deadlines = writes.iter().map(|write| write.call.deadline);
        // Whoever waits for longest; forever, if anybody does.
        let deadline = deadlines.reduce(|a, b| Some(a?.max(b?))).flatten();
        let scope = self.scope();
        let job = move |tx: &Transaction<'_>| group::run(tx, &scope, &writes);
        match self.write(changes, deadline, job).await {
            Ok(written) => written,
            Err(error) => (0..len).map(|_| Err(error.clone())).collect(),
        }
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
        let page = move |db: &Connection, _: Stop<'_>| {
            let namespace = namespace.as_deref();
            archive::page(db, &owner, namespace, after, len_max, &mut budget)
        };
        self.readers.run(Lane::Other, None, page).await
    }

    async fn restore(
        &self,
        owner: &Owner,
        memories: Vec<Memory>,
    ) -> Result<Vec<Restored>, MemoryError> {
        let (owner, len) = (owner.clone(), memories.len());
        let restore = move |tx: &Transaction<'_>| archive::restore(tx, &owner, &memories);
        self.write(len, None, restore).await
    }

    async fn owners(&self) -> Result<Vec<Owner>, MemoryError> {
        let owners = |db: &Connection, _: Stop<'_>| archive::owners(db);
        self.readers.run(Lane::Other, None, owners).await
    }
}

#[async_trait]
impl Readiness for SqliteStore {
    fn name(&self) -> &'static str {
        "memory_store"
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Store
    }

    async fn check(&self) -> Result<(), String> {
        let newest = |db: &Connection, _: Stop<'_>| {
            let newest = "SELECT max(row) FROM memory";
            Ok(db.query_row(newest, [], |row| row.get::<_, Option<i64>>(0))?)
        };
        let read = self.readers.run(Lane::Other, None, newest);
        let write = self.writer.run(None, |_, _| Ok(()));
        match tokio::try_join!(read, write) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
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
            Some(ErrorCode::OperationInterrupted) => Self::Timeout,
            _ => Self::Internal { reason },
        }
    }
}
