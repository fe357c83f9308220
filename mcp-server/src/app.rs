//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

use std::{path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;

use crate::{
    adapters::{BatchedStore, GuardedStore, PromptStore, RepeatableStore},
    config::Config,
    memory::{
        MemoryService,
        sqlite::{OpenError, SqliteStore},
    },
    ports::{MemoryArchive, MemoryStore, Readiness},
    protocol::{Front, McpHandler, Strict},
    tools,
};

/// The folder inside the platform's folder for application data.
const DATA_DIR_NAME: &str = "mcp-server";

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The platform names no folder for application data.
    #[error("this system names no folder for application data: choose one with --data-dir")]
    NoDataDir,
    /// The memory store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A part was configured in a way that makes no sense.
    #[error("the setting `memory.circuit_breaker`: {0}")]
    Guard(#[from] mcp_breaker::ConfigError),
    /// A part was configured in a way that makes no sense.
    #[error("the setting `memory.batch`: {0}")]
    Batch(#[from] mcp_batch::ConfigError),
}

/// The server's parts, ready to be served on any transport.
#[derive(Debug)]
pub struct App {
    handler: Strict<McpHandler>,
    front: bool,
    store: Arc<SqliteStore>,
    batched: Option<Arc<BatchedStore>>,
    data_dir: PathBuf,
}

impl App {
    /// Opens the store and puts the parts together.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what to do.
    pub fn build(config: &Config) -> Result<Self, BuildError> {
        let data_dir = match &config.memory.data_dir {
            Some(dir) => dir.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| BuildError::NoDataDir)?
                .data_dir()
                .join(DATA_DIR_NAME),
        };
        let store = Arc::new(SqliteStore::open(&data_dir, &config.memory.sqlite)?);
        let batch = &config.memory.batch;
        let batched = match config.safe_mode || !batch.enabled {
            true => None,
            false => Some(Arc::new(BatchedStore::new(store.clone(), batch)?)),
        };
        let stack = match &batched {
            Some(batched) => memory_stack(batched.clone(), config)?,
            None => memory_stack(store.clone(), config)?,
        };
        let memory = MemoryService::new(stack, config.memory.limits.clone());
        let registry = Arc::new(tools::memory_tools(&memory));
        Ok(Self {
            handler: Strict::new(McpHandler::new(registry)),
            front: config.http.front && !config.safe_mode,
            store,
            batched,
            data_dir,
        })
    }

    /// Answers MCP requests; one clone per connection or request.
    #[must_use]
    pub fn handler(&self) -> Strict<McpHandler> {
        self.handler.clone()
    }

    /// The fast way to answers, unless the configuration leaves it out.
    #[must_use]
    pub fn front(&self) -> Option<Front> {
        self.front.then(|| Front::new(&self.handler))
    }

    /// The parts whose fitness decides whether the server is ready.
    #[must_use]
    pub fn readiness(&self) -> Vec<Arc<dyn Readiness>> {
        vec![self.store.clone(), Arc::new(self.store.index_readiness())]
    }

    /// The way in and out for whole memories.
    #[must_use]
    pub fn archive(&self) -> Arc<dyn MemoryArchive> {
        self.store.clone()
    }

    /// Where the data is.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// Ends the parts; every acknowledged write was durable before this, and what is still queued
    /// is worked off.
    pub async fn close(self) {
        if let Some(batched) = &self.batched {
            batched.shutdown().await;
        }
        // Joins the store's threads.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// The store with what the configuration puts around it, the innermost first.
fn memory_stack(
    mut store: Arc<dyn MemoryStore>,
    config: &Config,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    if !config.safe_mode {
        store = Arc::new(PromptStore::new(store, config.memory.operation_timeout));
    }
    store = Arc::new(RepeatableStore::new(store));
    let guard = &config.memory.circuit_breaker;
    if !config.safe_mode && guard.enabled {
        store = Arc::new(GuardedStore::new(store, guard)?);
    }
    Ok(store)
}
