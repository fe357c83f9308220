//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

use std::{path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;

use crate::{
    adapters::GuardedStore,
    admission::Admission,
    call::Lane,
    client::{Clients, Transport},
    config::{Config, HttpConfig},
    live::Live,
    memory::{
        Limits, MemoryService, Owner,
        sqlite::{OpenError, SqliteStore},
    },
    ports::{MemoryArchive, MemoryStore, Readiness},
    protocol::{McpHandler, Strict},
    tools::{self, Registry},
    transport::http,
    warmup,
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
}

/// The server's parts, ready to be served on any transport.
#[derive(Debug)]
pub struct App {
    handler: McpHandler,
    registry: Arc<Registry>,
    readers: usize,
    /// `None` in safe mode.
    admission: Option<Admission>,
    clients: Clients,
    settings: Settings,
    store: Arc<SqliteStore>,
    data_dir: PathBuf,
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
        let data_dir = match &config.memory.data_dir {
            Some(dir) => dir.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| BuildError::NoDataDir)?
                .data_dir()
                .join(DATA_DIR_NAME),
        };
        let store = Arc::new(SqliteStore::open(&data_dir, &config.memory.sqlite)?);
        let stack = memory_stack(store.clone(), config)?;
        let settings = Settings {
            http: Live::new(config.http.clone()),
            limits: Live::new(config.memory.limits.clone()),
        };
        let memory = MemoryService::new(stack, settings.limits.clone());
        let registry = Arc::new(tools::memory_tools(&memory));
        Ok(Self {
            handler: McpHandler::new(registry.clone()),
            registry,
            readers: config.memory.sqlite.readers.get(),
            admission: (!config.safe_mode).then(|| Admission::new(&config.lanes)),
            clients: Clients::default(),
            settings,
            store,
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

    /// What an HTTP server works with beside the handler.
    #[must_use]
    pub fn http_options(&self) -> http::Options {
        http::Options {
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
        warmup::run(&self.registry, self.readers).await;
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
    store: Arc<dyn MemoryStore>,
    config: &Config,
) -> Result<Arc<dyn MemoryStore>, BuildError> {
    let guard = &config.memory.circuit_breaker;
    if config.safe_mode || !guard.enabled {
        return Ok(store);
    }
    Ok(Arc::new(GuardedStore::new(store, guard)?))
}
