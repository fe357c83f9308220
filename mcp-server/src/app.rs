//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

use std::{path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;

use crate::{
    adapters::{GuardedStore, OptimisedManager},
    config::Config,
    context::{ContextService, ManagerKind, StandardManager},
    memory::{
        MemoryService,
        sqlite::{OpenError, SqliteStore},
    },
    ports::{ContextManager, MemoryArchive, MemoryStore, Readiness},
    protocol::{McpHandler, Strict},
    telemetry::SlowOperations,
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
    /// The copies of contexts were configured in a way that makes no sense.
    #[error("the setting `contexts.cache`: {0}")]
    Contexts(#[from] mcp_cache::ConfigError),
}

/// The server's parts, ready to be served on any transport.
pub struct App {
    handler: Strict<McpHandler>,
    store: Arc<SqliteStore>,
    contexts: Arc<dyn ContextManager>,
    slow: Arc<SlowOperations>,
    data_dir: PathBuf,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Opens the store and puts the parts together.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what to do.
    pub fn build(config: &Config) -> Result<Self, BuildError> {
        for remark in config.not_used() {
            tracing::warn!("not used: {remark}");
        }
        let data_dir = match &config.memory.data_dir {
            Some(dir) => dir.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| BuildError::NoDataDir)?
                .data_dir()
                .join(DATA_DIR_NAME),
        };
        let store = Arc::new(SqliteStore::open(&data_dir, &config.memory.sqlite)?);
        let stack = memory_stack(store.clone(), config)?;
        let memory = MemoryService::new(stack, config.memory.limits.clone());
        let contexts = context_manager(store.clone(), config)?;
        let context_service = ContextService::new(contexts.clone(), config.contexts.limits.clone());
        let slow = Arc::new(SlowOperations::new(&config.slow_operations));
        let registry = tools::memory_tools(&memory);
        let registry = tools::with_context_tools(registry, &context_service).watched(&slow);
        Ok(Self {
            handler: Strict::new(McpHandler::new(Arc::new(registry))),
            store,
            contexts,
            slow,
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

    /// The tool calls that took too long.
    #[must_use]
    pub fn slow_operations(&self) -> &SlowOperations {
        &self.slow
    }

    /// Where the data is.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// Ends the parts; every acknowledged write was durable before this, and what is still queued
    /// is worked off.
    pub async fn close(self) {
        self.contexts.close().await;
        // Joins the store's threads.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// The store with what the configuration puts around it, the innermost first.
fn memory_stack(
    store: Arc<dyn MemoryStore>,
    config: &Config,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    let guard = &config.memory.circuit_breaker;
    if config.safe_mode || !guard.enabled {
        return Ok(store);
    }
    Ok(Arc::new(GuardedStore::new(store, guard)?))
}

/// The manager that the configuration asks for.
fn context_manager(
    store: Arc<SqliteStore>,
    config: &Config,
) -> Result<Arc<dyn ContextManager>, mcp_cache::ConfigError> {
    let contexts = &config.contexts;
    if config.safe_mode || contexts.manager == ManagerKind::Standard {
        return Ok(Arc::new(StandardManager::new(store)));
    }
    let manager = OptimisedManager::new(store, &contexts.cache, &contexts.warming)?;
    Ok(Arc::new(manager))
}
