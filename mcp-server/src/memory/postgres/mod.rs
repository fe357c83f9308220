//! The store in a PostgreSQL database, which any number of processes share.
//!
//! Whoever writes holds one row until its transaction is committed, so writes become visible one
//! after the other and their log has no gaps; mcp-batch puts the writes of a process together, so
//! that this costs little. The search index is every process's own, made from that log.

mod advice;
mod archive;
mod config;
mod contexts;
mod error;
mod expiry;
mod feed;
mod fresh;
mod group;
mod log;
mod rows;
mod schema;
mod search;
mod text;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{runtime::Handle, time::Instant};
use tokio_util::task::TaskTracker;

pub use advice::{Advice, Weight, advise};
pub use config::PostgresConfig;
pub use error::PostgresError;

use self::{expiry::Sweeper, fresh::Fresh, log::Log};
use super::{
    Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
    Update, Updated, Write, Written,
    budget::Budget,
    search::{IndexReadiness, Indexer, LiveIndex},
};
use crate::{
    adapters::postgres::{Database, NodeStats},
    call::{Call, Lane},
    monitoring::DependencyKind,
    ports::{GroupCommit, MemoryStore, Readiness},
    telemetry::SlowOperations,
};

/// The folder of these stores inside the data folder; each database has one in it.
const DIR_NAME: &str = "postgres";
/// How long opening the store waits for the database.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a check of readiness takes at most.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The [`MemoryStore`] in a PostgreSQL database.
///
/// To be [closed](Self::close); dropping it blocks until its thread has ended.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database,
    index: Arc<LiveIndex>,
    /// `None` once it was closed.
    indexer: Mutex<Option<Indexer>>,
    index_readiness: IndexReadiness,
    closing: Arc<AtomicBool>,
    fresh: Fresh,
    sweeper: Sweeper,
    tasks: TaskTracker,
    answer_bytes_max: usize,
}

impl PostgresStore {
    /// Connects, brings the tables up to date, and opens the search index in `dir`.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] names the database, the cause and the way out.
    pub async fn open(dir: &Path, config: &PostgresConfig) -> Result<Self, PostgresError> {
        let dsn = config.dsn.as_ref().ok_or(PostgresError::NoDsn)?;
        let dsn = format!("{dsn:?}");
        let database = Database::connect(config).await?;
        let deadline = Some(Instant::now() + OPEN_TIMEOUT.min(config.acquire_timeout));
        let unreachable = |error: String| PostgresError::Unreachable {
            dsn: dsn.clone(),
            reason: database.trouble().unwrap_or(error),
        };
        let session = database.primary(Lane::Other, deadline).await;
        let mut session = session.map_err(|error| unreachable(error.to_string()))?;
        let identity = schema::migrate(&mut session, &dsn).await?;
        drop(session);

        let dir = dir.join(DIR_NAME).join(identity);
        let unusable = |source| PostgresError::Index {
            path: dir.clone(),
            source,
        };
        fs::create_dir_all(&dir).map_err(unusable)?;
        let closing = Arc::<AtomicBool>::default();
        let log = Log {
            database: database.clone(),
            runtime: Handle::current(),
            closing: closing.clone(),
        };
        let index = config.index.clone();
        let started = {
            let dir = dir.clone();
            // The index first looks at the log, which is answered on this runtime.
            tokio::task::spawn_blocking(move || Indexer::start(&dir, log, &index)).await
        };
        let started = started.map_err(std::io::Error::other).flatten();
        let (indexer, index) = started.map_err(unusable)?;
        Ok(Self {
            database,
            index,
            index_readiness: indexer.readiness(),
            indexer: Mutex::new(Some(indexer)),
            closing,
            fresh: Fresh::default(),
            sweeper: Sweeper::default(),
            tasks: TaskTracker::new(),
            answer_bytes_max: config.answer_bytes_max.get(),
        })
    }

    /// Tells whether searches are answered, or how far the index has been made again.
    #[must_use]
    pub fn index_readiness(&self) -> IndexReadiness {
        self.index_readiness.clone()
    }

    /// The servers and the connections to them at this moment, in the order of the settings.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStats> {
        self.database.nodes()
    }

    /// The statements that took too long.
    #[must_use]
    pub fn slow_queries(&self) -> &SlowOperations {
        self.database.slow_queries()
    }

    /// Ends the connections and the index, when what is at work has ended.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let indexer = self.take_indexer();
        // Joins the thread.
        let _ = tokio::task::spawn_blocking(move || drop(indexer)).await;
        self.tasks.close();
        self.tasks.wait().await;
        self.database.close().await;
    }

    fn take_indexer(&self) -> Option<Indexer> {
        self.indexer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    async fn write_one<T>(&self, call: &Call, operation: Operation) -> Result<T, MemoryError>
    where
        T: TryFrom<Outcome, Error = MemoryError>,
    {
        Write::only(self.commit_one(Write::one(call, operation)).await)
    }

    async fn commit_one(&self, write: Write) -> Written {
        let mut written = self.commit_all(vec![write]).await;
        written.pop().expect("one result per write")
    }

    /// What only reads, one after the other but for the gets, which are sent at once. When the time
    /// is over, the rest says so.
    async fn read_all(
        &self,
        call: &Call,
        operations: &[Operation],
    ) -> Vec<Result<Outcome, MemoryError>> {
        let gets: Vec<_> = operations.iter().filter_map(as_get).collect();
        let steps = gets.iter().map(|get| rows::get(&call.owner, get)).collect();
        let got = self.read(call, 0, steps).await;
        let mut got = got.map(Vec::into_iter);
        let mut budget = Budget::new(self.answer_bytes_max);
        let mut results = Vec::with_capacity(operations.len());
        for operation in operations {
            results.push(match (operation, &mut got) {
                (Operation::Search(search), _) => self
                    .search_committed(call, search)
                    .await
                    .map(Outcome::Found),
                (Operation::Get(get), Ok(rows)) => {
                    let rows = rows.next().unwrap_or_default();
                    rows::got(&rows, get, &mut budget).map(Outcome::Memory)
                }
                (_, Ok(_)) => unreachable!("nothing else only reads"),
                (_, Err(error)) => Err(error.clone()),
            });
        }
        results
    }
}

fn as_get(operation: &Operation) -> Option<&Get> {
    match operation {
        Operation::Get(get) => Some(get),
        _ => None,
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.take_indexer());
    }
}

#[async_trait]
impl MemoryStore for PostgresStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.write_one(call, Operation::Add(add)).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.search_committed(call, &search).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        let steps = vec![rows::get(&call.owner, &get)];
        let rows = self.read(call, 0, steps).await?.pop().unwrap_or_default();
        rows::got(&rows, &get, &mut Budget::new(self.answer_bytes_max))
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
            return Ok(self.read_all(call, &operations).await);
        }
        let call = call.clone();
        self.commit_one(Write { call, operations }).await
    }
}

#[async_trait]
impl GroupCommit for PostgresStore {
    async fn commit(&self, writes: Vec<Write>) -> Vec<Written> {
        self.commit_all(writes).await
    }
}

#[async_trait]
impl Readiness for PostgresStore {
    fn name(&self) -> &'static str {
        "memory_store"
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Store
    }

    async fn check(&self) -> Result<(), String> {
        let deadline = Some(Instant::now() + CHECK_TIMEOUT);
        let check = async {
            let mut session = self.database.primary(Lane::Other, deadline).await?;
            session.query(&fresh::HEAD, &[]).await
        };
        match check.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.database.trouble().unwrap_or_else(|| error.to_string())),
        }
    }
}
