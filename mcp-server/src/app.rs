//! The composition root: a configuration in, running parts out. Only this file knows which part
//! plays which role.

mod error;
mod folder;
mod monitoring;
mod stack;
mod store;

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use mcp_cache::CacheEventBus;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    adapters::{Announcer, BatchedStore, CachedStore, UpstreamStack},
    admission::Admission,
    auth::{Caller, Tokens},
    bench::inside::Inside,
    call::Lane,
    client::{Clients, Transport},
    config::{Config, HttpConfig},
    context::ContextService,
    live::Live,
    memory::{Limits, MemoryService, Owner},
    monitoring::{Monitor, Recorder, Sources},
    ports::{ContextManager, EventSink, MemoryArchive, Readiness},
    protocol::{Front, McpHandler, Scopes, Strict},
    telemetry::SlowOperations,
    tools::{self, Registry, RunPerformanceBenchmark},
    transport::http,
    upstream::{self, Gateway, MapReadiness, registry_path},
    warmup,
};

pub use self::{error::BuildError, folder::data_dir};
use self::{
    stack::{ObservedParts, context_manager, memory_stack},
    store::Store,
};

/// Events that are kept for whoever listens and is slow.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not zero");

/// The server's parts, ready to be served on any transport.
pub struct App {
    handler: McpHandler,
    front: bool,
    stdio_front: bool,
    registry: Arc<Registry>,
    /// `None` in safe mode.
    admission: Option<Admission>,
    clients: Clients,
    counters: http::Counters,
    monitor: Monitor,
    /// What a report on whether the server is ready tells of.
    readiness: Vec<Arc<dyn Readiness>>,
    settings: Settings,
    store: Store,
    batched: Option<Arc<BatchedStore>>,
    cache: Option<Arc<CachedStore>>,
    contexts: Arc<dyn ContextManager>,
    slow: Arc<SlowOperations>,
    dashboard: http::Dashboard,
    tokens: Tokens,
    tokens_required: bool,
    gateway: Gateway,
    /// Whether a start waits for the connectors.
    refresh_is_awaited: bool,
    /// What runs beside the calls; ended by [`close`](Self::close).
    tasks: TaskTracker,
    closing: CancellationToken,
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
    pub async fn build(config: &Config) -> Result<Self, BuildError> {
        for remark in config.not_used() {
            tracing::warn!("not used: {remark}");
        }
        let data_dir = data_dir(config)?;
        let tokens = Tokens::open(&data_dir)?;
        let store = Store::open(&data_dir, &config.memory).await?;
        let batch = &config.memory.batch;
        let batched = match config.safe_mode || !batch.enabled {
            true => None,
            false => Some(Arc::new(BatchedStore::new(store.memories.clone(), batch)?)),
        };
        let bus = CacheEventBus::new(Arc::default(), EVENTS_MAX);
        let mut observed = ObservedParts::default();
        store.observed().for_each(|part| observed.push(part));
        let (stack, cache) = memory_stack(&store, batched.clone(), &bus, config, &mut observed)?;
        let settings = Settings {
            http: Live::new(config.http.clone()),
            limits: Live::new(config.memory.limits.clone()),
        };
        let memory = MemoryService::new(stack, settings.limits.clone());
        let contexts = context_manager(store.contexts.clone(), config, &mut observed)?;
        let context_service = ContextService::new(contexts.clone(), config.contexts.limits.clone());
        let events: Arc<dyn EventSink> = Arc::new(Announcer::new(bus));
        let slow = Arc::new(SlowOperations::new(&config.slow_operations));
        let connectors = Arc::new(upstream::Store::open(&registry_path(&data_dir))?);
        let upstreams = UpstreamStack::new(&config.connectors, config.safe_mode)?;
        if let Some(caches) = upstreams.caches().cloned() {
            observed.push_cache(Arc::new(caches));
        }
        let gateway = Gateway::new(config.connectors.clone(), connectors, Arc::new(upstreams));
        observed.push(Arc::new(gateway.clone()));
        let recorder = Arc::new(Recorder::new(config.monitoring.window));
        let admission = (!config.safe_mode).then(|| Admission::new(&config.lanes));
        if let Some(admission) = admission.clone() {
            observed.push(Arc::new(admission));
        }
        let (clients, counters) = (Clients::default(), http::Counters::default());
        let mut checks = store.readiness.clone();
        if gateway.map_status().is_some() {
            checks.push(Arc::new(MapReadiness(gateway.clone())));
        }
        if let Some(cache) = cache.as_ref().filter(|cache| cache.is_shared()) {
            checks.push(cache.clone());
        }
        let mut readiness = checks.clone();
        readiness.push(Arc::new(gateway.clone()));
        let sources = Sources {
            recorder: recorder.clone(),
            parts: observed.parts,
            checks,
            slow: slow.clone(),
            clients: clients.clone(),
            http: counters.clone(),
            courier: monitoring::courier(&config.monitoring)?,
            rollups: monitoring::rollups(&data_dir, &config.monitoring),
            reports: monitoring::reports(&data_dir, &config.monitoring),
        };
        let monitor = Monitor::new(config.monitoring.clone(), sources);
        let registry = tools::with_context_tools(tools::memory_tools(&memory), &context_service);
        let registry = tools::with_connector_tools(registry, &gateway);
        let mut registry = tools::with_monitoring_tools(registry, &monitor);
        if config.monitoring.admin_tools {
            registry = tools::with_admin_tools(registry, &monitor, &observed.caches);
        }
        let counted = config.monitoring.enabled.then_some(&recorder);
        let inside = Inside::new(memory);
        // Not watched: a benchmark takes long by nature, and says itself what its parts took.
        let registry = registry
            .announced(&events)
            .watched(&slow, counted)
            .with(RunPerformanceBenchmark::new(inside.clone()));
        let registry = Arc::new(registry);
        Ok(Self {
            handler: McpHandler::new(registry.clone()).telling_of(&monitor),
            front: config.http.front && !config.safe_mode,
            stdio_front: config.stdio.front && !config.safe_mode,
            registry,
            admission,
            clients,
            counters,
            monitor,
            readiness,
            settings,
            store,
            batched,
            cache,
            contexts,
            slow,
            dashboard: http::Dashboard::new(inside, observed.caches),
            tokens,
            tokens_required: config.http.asks_for_tokens(),
            gateway,
            refresh_is_awaited: config.connectors.refresh.sync,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
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
            auth: Some(http::Auth {
                tokens: self.tokens.clone(),
                required: self.tokens_required,
                scopes: Scopes::new(self.registry.clone()),
            }),
            websocket: Some(self.websocket()),
            clients: self.clients.clone(),
            counters: self.counters.clone(),
            registry: Some(self.registry.clone()),
            monitor: Some(self.monitor.clone()),
            dashboard: Some(self.dashboard.clone()),
        }
    }

    /// What the server knows of itself.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Makes the handlers of clients on WebSockets.
    fn websocket(&self) -> http::Connect {
        let (handler, clients) = (self.handler.clone(), self.clients.clone());
        let admission = self.admission.clone();
        Arc::new(move |caller: Caller| {
            let client = clients.connect(caller.owner.clone(), Lane::Other, Transport::WebSocket);
            let handler = handler.in_name_of(caller);
            Strict::new(handler.for_client(client, None, admission.clone()))
        })
    }

    /// What the HTTP server has counted.
    #[must_use]
    pub fn http_stats(&self) -> http::HttpStats {
        self.counters.snapshot()
    }

    /// The tokens that are good.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The settings of the HTTP server, which [`reload`](Self::reload) exchanges.
    #[must_use]
    pub fn http_settings(&self) -> Live<HttpConfig> {
        self.settings.http.clone()
    }

    /// Begins to ask connectors for their tools, and to tell clients when the tools change. Returns
    /// at once, unless the configuration asks to wait until each connector was asked.
    pub async fn start(&self) {
        self.gateway.start(&self.registry);
        let (audience, registry) = (self.handler.audience().clone(), self.registry.clone());
        let closing = self.closing.clone();
        self.tasks
            .spawn(async move { closing.run_until_cancelled(audience.tell(&registry)).await });
        let (monitor, closing) = (self.monitor.clone(), self.closing.clone());
        self.tasks
            .spawn(async move { closing.run_until_cancelled(monitor.run()).await });
        if self.refresh_is_awaited {
            self.gateway.settled().await;
        }
    }

    /// The connectors to other servers.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Puts in force what is [reloadable](crate::config::RELOADABLE), but for the log. Calls at
    /// work go on under the settings they began with.
    pub fn reload(&self, config: &Config) {
        self.settings.http.set(config.http.clone());
        self.settings.limits.set(config.memory.limits.clone());
        self.gateway.configure(&config.connectors.servers);
        if let Some(admission) = &self.admission {
            admission.set(&config.lanes);
        }
    }

    /// Does once what the first calls would otherwise have to wait for. Changes nothing.
    pub async fn warm(&self) {
        warmup::run(
            &self.registry,
            self.store.sqlite.as_deref(),
            self.store.readers,
        )
        .await;
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
        self.readiness.clone()
    }

    /// The cache in front of the memory store, unless the configuration leaves it out.
    #[must_use]
    pub fn cache(&self) -> Option<&CachedStore> {
        self.cache.as_deref()
    }

    /// The way in and out for whole memories.
    #[must_use]
    pub fn archive(&self) -> Arc<dyn MemoryArchive> {
        self.store.archive.clone()
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
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.monitor.close();
        self.gateway.close().await;
        self.contexts.close().await;
        if let Some(batched) = &self.batched {
            batched.shutdown().await;
        }
        self.store.close().await;
        // Joins the store's threads. A connection that is just ending may hold the store a little
        // longer: the index is brought to its end by name.
        let close = move || {
            if let Some(sqlite) = &self.store.sqlite {
                sqlite.end_indexing();
            }
            drop(self);
        };
        if let Err(error) = tokio::task::spawn_blocking(close).await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}
