//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;
use mcp_cache::CacheEventBus;

use crate::{
    adapters::{Announcer, CachedStore, GuardedStore},
    config::Config,
    memory::{
        MemoryService,
        sqlite::{OpenError, SqliteStore},
    },
    ports::{EventSink, MemoryArchive, MemoryStore, Readiness},
    protocol::{McpHandler, Strict},
    tools,
};

/// The folder inside the platform's folder for application data.
const DATA_DIR_NAME: &str = "mcp-server";

/// Events that are kept for whoever listens and is slow.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not zero");

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
    /// The cache was configured in a way that makes no sense.
    #[error("the setting `memory.cache`: {0}")]
    Cache(#[from] mcp_cache::ConfigError),
}

/// The server's parts, ready to be served on any transport.
#[derive(Debug)]
pub struct App {
    handler: Strict<McpHandler>,
    store: Arc<SqliteStore>,
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
        let bus = CacheEventBus::new(Arc::default(), EVENTS_MAX);
        let stack = memory_stack(&store, &bus, config)?;
        let memory = MemoryService::new(stack, config.memory.limits.clone());
        let events: Arc<dyn EventSink> = Arc::new(Announcer::new(bus));
        let registry = Arc::new(tools::memory_tools(&memory).announced(&events));
        Ok(Self {
            handler: Strict::new(McpHandler::new(registry)),
            store,
            data_dir,
        })
    }

    /// Answers MCP requests; one clone per connection or request.
    #[must_use]
    pub fn handler(&self) -> Strict<McpHandler> {
        self.handler.clone()
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
        // Joins the store's threads.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// The store with what the configuration puts around it, the innermost first.
fn memory_stack(
    store: &Arc<SqliteStore>,
    bus: &CacheEventBus,
    config: &Config,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    let mut stack: Arc<dyn MemoryStore> = store.clone();
    if config.safe_mode {
        return Ok(stack);
    }
    let memory = &config.memory;
    if memory.circuit_breaker.enabled {
        stack = Arc::new(GuardedStore::new(stack, &memory.circuit_breaker)?);
    }
    if memory.cache.enabled {
        let bytes_max = memory.sqlite.answer_bytes_max.get();
        let cached = CachedStore::new(stack, store.clone(), bus, bytes_max, &memory.cache)?;
        stack = Arc::new(cached);
    }
    Ok(stack)
}
