//! The store that the configuration asks for, in all its roles.

use std::{path::Path, sync::Arc};

use super::BuildError;
use crate::{
    config::{MemoryConfig, StoreKind},
    memory::{postgres::PostgresStore, sqlite::SqliteStore},
    ports::{ChangeFeed, ContextStore, GroupCommit, MemoryArchive, Observed, Readiness},
};

/// Reads that the warm-up runs at once on a store with a pool of connections: as many as will be
/// there for the first callers.
const WARM_CONNECTIONS: usize = 4;

/// One store in its roles.
pub(super) struct Store {
    pub(super) memories: Arc<dyn GroupCommit>,
    pub(super) archive: Arc<dyn MemoryArchive>,
    pub(super) feed: Arc<dyn ChangeFeed>,
    pub(super) contexts: Arc<dyn ContextStore>,
    pub(super) readiness: Vec<Arc<dyn Readiness>>,
    /// How many of its connections are worth a warm-up.
    pub(super) readers: usize,
    /// Whether its reads have more than one server to go to.
    pub(super) reads_apart: bool,
    /// What has a thread that may be ended before it is dropped.
    pub(super) sqlite: Option<Arc<SqliteStore>>,
    /// What has to be closed.
    postgres: Option<Arc<PostgresStore>>,
}

impl Store {
    pub(super) async fn open(dir: &Path, config: &MemoryConfig) -> Result<Self, BuildError> {
        match config.store {
            StoreKind::Sqlite => {
                let store = Arc::new(SqliteStore::open(dir, &config.sqlite)?);
                let index = Arc::new(store.index_readiness());
                let readers = config.sqlite.readers.get();
                Ok(Self {
                    sqlite: Some(store.clone()),
                    ..Self::of(store, index, readers)
                })
            }
            StoreKind::Postgres => {
                let store = Arc::new(PostgresStore::open(dir, &config.postgres).await?);
                let index = Arc::new(store.index_readiness());
                Ok(Self {
                    postgres: Some(store.clone()),
                    reads_apart: !config.postgres.read_replicas.is_empty(),
                    ..Self::of(store, index, WARM_CONNECTIONS)
                })
            }
        }
    }

    fn of<S>(store: Arc<S>, index: Arc<dyn Readiness>, readers: usize) -> Self
    where
        S: GroupCommit + MemoryArchive + ChangeFeed + ContextStore + Readiness + 'static,
    {
        Self {
            memories: store.clone(),
            archive: store.clone(),
            feed: store.clone(),
            contexts: store.clone(),
            readiness: vec![store, index],
            readers,
            reads_apart: false,
            sqlite: None,
            postgres: None,
        }
    }

    /// What says how its connections do.
    pub(super) fn observed(&self) -> impl Iterator<Item = Arc<dyn Observed>> {
        let sqlite = self.sqlite.clone().map(|store| store as Arc<dyn Observed>);
        let postgres = self.postgres.clone();
        let postgres = postgres.map(|store| store as Arc<dyn Observed>);
        sqlite.into_iter().chain(postgres)
    }

    pub(super) async fn close(&self) {
        if let Some(postgres) = &self.postgres {
            postgres.close().await;
        }
    }
}
