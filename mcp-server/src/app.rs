//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;
use mcp_cache::CacheEventBus;

use crate::{
    adapters::{
        Announcer, BatchedStore, CachedStore, GuardedStore, OptimisedManager, PromptStore,
        RepeatableStore,
    },
    admission::Admission,
    call::Lane,
    client::{Clients, Transport},
    config::{Config, HttpConfig},
    context::{ContextService, ManagerKind, StandardManager},
    live::Live,
    memory::{
        Limits, MemoryService, Owner,
        sqlite::{OpenError, SqliteStore},
    },
    ports::{ContextManager, EventSink, MemoryArchive, MemoryStore, Readiness},
    protocol::{Front, McpHandler, Strict},
    telemetry::SlowOperations,
    tools::{self, Registry},
    transport::http,
    warmup,
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
    /// A part was configured in a way that makes no sense.
    #[error("the setting `memory.batch`: {0}")]
    Batch(#[from] mcp_batch::ConfigError),
    /// A cache was configured in a way that makes no sense.
    #[error("the setting `{section}`: {source}")]
    Cache {
        /// The section of the settings.
        section: &'static str,
        /// What is wrong with it.
        source: mcp_cache::ConfigError,
    },
}

/// The server's parts, ready to be served on any transport.
pub struct App {
    handler: McpHandler,
    front: bool,
    stdio_front: bool,
    registry: Arc<Registry>,
    readers: usize,
    /// `None` in safe mode.
    admission: Option<Admission>,
    clients: Clients,
    settings: Settings,
    store: Arc<SqliteStore>,
    batched: Option<Arc<BatchedStore>>,
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

/// The settings that a reload exchanges, as the parts hold them.
#[derive(Debug)]
struct Settings {
    http: Live<HttpConfig>,
    limits: Live<Limits>,
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
        let batch = &config.memory.batch;
        let batched = match config.safe_mode || !batch.enabled {
            true => None,
            false => Some(Arc::new(BatchedStore::new(store.clone(), batch)?)),
        };
        let bus = CacheEventBus::new(Arc::default(), EVENTS_MAX);
        let stack = memory_stack(&store, batched.clone(), &bus, config)?;
        let settings = Settings {
            http: Live::new(config.http.clone()),
            limits: Live::new(config.memory.limits.clone()),
        };
        let memory = MemoryService::new(stack, settings.limits.clone());
        let contexts = context_manager(store.clone(), config)?;
        let context_service = ContextService::new(contexts.clone(), config.contexts.limits.clone());
        let events: Arc<dyn EventSink> = Arc::new(Announcer::new(bus));
        let slow = Arc::new(SlowOperations::new(&config.slow_operations));
        let registry = tools::with_context_tools(tools::memory_tools(&memory), &context_service);
        let registry = Arc::new(registry.announced(&events).watched(&slow));
        Ok(Self {
            handler: McpHandler::new(registry.clone()),
            front: config.http.front && !config.safe_mode,
            stdio_front: config.stdio.front && !config.safe_mode,
            registry,
            readers: config.memory.sqlite.readers.get(),
            admission: (!config.safe_mode).then(|| Admission::new(&config.lanes)),
            clients: Clients::default(),
            settings,
            store,
            batched,
            contexts,
            slow,
            data_dir,
        })
    }

    /// Answers MCP requests; one clone per connection or request.
    #[must_use]
    pub fn handler(&self) -> Strict<McpHandler> {
        Strict::new(self.handler.clone())
    }

    /// Answers the requests of one client on standard input and output, in `lane` if it is given,
    /// else in that of the name that the client gives itself.
    #[must_use]
    pub fn stdio_handler(&self, lane: Option<Lane>) -> Strict<McpHandler> {
        let first = lane.unwrap_or(Lane::Other);
        let client = self
            .clients
            .connect(Owner::local(), first, Transport::Stdio);
        let admission = self.admission.clone();
        Strict::new(self.handler.for_client(client, lane, admission))
    }

    /// The fast way to the answers of a [`stdio_handler`](Self::stdio_handler), unless the
    /// configuration leaves it out.
    #[must_use]
    pub fn stdio_front(&self, handler: &Strict<McpHandler>) -> Option<Front> {
        self.stdio_front.then(|| Front::new(handler))
    }

    /// What an HTTP server works with beside the handler.
    #[must_use]
    pub fn http_options(&self) -> http::Options {
        http::Options {
            front: self.front(),
            readiness: self.readiness(),
            admission: self.admission.clone(),
            clients: self.clients.clone(),
        }
    }

    /// The settings of the HTTP server, which [`reload`](Self::reload) exchanges.
    #[must_use]
    pub fn http_settings(&self) -> Live<HttpConfig> {
        self.settings.http.clone()
    }

    /// Puts in force what is [reloadable](crate::config::RELOADABLE), but for the log. Calls at
    /// work go on under the settings they began with.
    pub fn reload(&self, config: &Config) {
        self.settings.http.set(config.http.clone());
        self.settings.limits.set(config.memory.limits.clone());
        if let Some(admission) = &self.admission {
            admission.set(&config.lanes);
        }
    }

    /// Does once what the first calls would otherwise have to wait for. Writes nothing.
    pub async fn warm(&self) {
        warmup::run(&self.registry, &self.store, self.readers).await;
    }

    /// The lanes, unless safe mode leaves them out.
    #[must_use]
    pub fn admission(&self) -> Option<&Admission> {
        self.admission.as_ref()
    }

    /// The clients that are connected.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The fast way to answers, unless the configuration leaves it out.
    #[must_use]
    pub fn front(&self) -> Option<Front> {
        self.front.then(|| Front::new(&self.handler()))
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
        if let Some(batched) = &self.batched {
            batched.shutdown().await;
        }
        // A connection that is just ending may hold the store a little longer: the index is brought
        // to its end by name.
        let close = move || {
            self.store.end_indexing();
            drop(self);
        };
        if let Err(error) = tokio::task::spawn_blocking(close).await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// The store with what the configuration puts around it, the innermost first.
fn memory_stack(
    store: &Arc<SqliteStore>,
    batched: Option<Arc<BatchedStore>>,
    bus: &CacheEventBus,
    config: &Config,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    let mut stack: Arc<dyn MemoryStore> = match batched {
        Some(batched) => batched,
        None => store.clone(),
    };
    let memory = &config.memory;
    if config.safe_mode {
        return Ok(Arc::new(RepeatableStore::new(stack)));
    }
    stack = Arc::new(PromptStore::new(stack, memory.operation_timeout));
    stack = Arc::new(RepeatableStore::new(stack));
    if memory.circuit_breaker.enabled {
        stack = Arc::new(GuardedStore::new(stack, &memory.circuit_breaker)?);
    }
    if memory.cache.enabled {
        let bytes_max = memory.sqlite.answer_bytes_max.get();
        let cached = CachedStore::new(stack, store.clone(), bus, bytes_max, &memory.cache)
            .map_err(|source| BuildError::Cache {
                section: "memory.cache",
                source,
            })?;
        stack = Arc::new(cached.answering_within(memory.operation_timeout));
    }
    Ok(stack)
}

/// The manager that the configuration asks for.
fn context_manager(
    store: Arc<SqliteStore>,
    config: &Config,
) -> Result<Arc<dyn ContextManager>, BuildError> {
    let contexts = &config.contexts;
    if config.safe_mode || contexts.manager == ManagerKind::Standard {
        return Ok(Arc::new(StandardManager::new(store)));
    }
    match OptimisedManager::new(store, &contexts.cache, &contexts.warming) {
        Ok(manager) => Ok(Arc::new(manager)),
        Err(source) => Err(BuildError::Cache {
            section: "contexts.cache",
            source,
        }),
    }
}
