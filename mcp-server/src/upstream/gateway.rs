//! All connectors: which there are, one worker for each, and one list of tools.

mod observed;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmcp::model::CacheScope;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Condition, ConnectorName, ConnectorsConfig, Listed, Report, ServerConfig, Status, Store,
    SyncDurations, UpstreamError, Way, naming,
    tool::UpstreamTool,
    worker::{Asked, Worker},
};
use crate::{
    ports::Upstream,
    tools::{DynTool, Freshness, Registry},
};

/// How often what was learned is written, and the file looked at.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How many may wait for one connector to be asked.
const ASKED_MAX: usize = 64;

/// Puts together what stands before one upstream.
pub trait Stack: Send + Sync {
    /// The upstream of that name and these settings. `changed` is told when its tools may be others.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Settings`].
    fn build(
        &self,
        name: &ConnectorName,
        server: &ServerConfig,
        changed: &Arc<Notify>,
    ) -> Result<Arc<dyn Upstream>, UpstreamError>;
}

/// The gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    stack: Arc<dyn Stack>,
}

/// What workers share.
pub(super) struct Shared {
    pub(super) config: ConnectorsConfig,
    pub(super) durations: SyncDurations,
    /// Where the tools go; its own tools know this gateway.
    registry: OnceLock<Weak<Registry>>,
    store: Arc<Store>,
    syncs: Semaphore,
    connectors: Mutex<BTreeMap<ConnectorName, Running>>,
    lists: Mutex<BTreeMap<ConnectorName, Listed>>,
    /// Those of the configuration file, which go before those of the store.
    configured: Mutex<BTreeMap<ConnectorName, ServerConfig>>,
    generations: AtomicU64,
    tasks: TaskTracker,
    ended: CancellationToken,
}

struct Running {
    /// Tells it from those of the same name before it, whose late results are nobody's.
    generation: u64,
    server: ServerConfig,
    upstream: Arc<dyn Upstream>,
    status: watch::Receiver<Status>,
    asked: mpsc::Sender<Asked>,
    ended: CancellationToken,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway to the connectors of `config` and `store`. Nothing runs before it is started.
    #[must_use]
    pub fn new(config: ConnectorsConfig, store: Arc<Store>, stack: Arc<dyn Stack>) -> Self {
        let syncs = config.syncs_max.get().min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                configured: Mutex::new(config.servers.clone()),
                config,
                durations: SyncDurations::default(),
                registry: OnceLock::new(),
                store,
                syncs: Semaphore::new(syncs),
                connectors: Mutex::default(),
                lists: Mutex::default(),
                generations: AtomicU64::new(0),
                tasks: TaskTracker::new(),
                ended: CancellationToken::new(),
            }),
            stack,
        }
    }

    /// Begins to ask all connectors for their tools, in the background, to put them into `registry`,
    /// and to follow what other processes do to the store. Once, in a tokio runtime.
    pub fn start(&self, registry: &Arc<Registry>) {
        if self.shared.registry.set(Arc::downgrade(registry)).is_err() {
            return;
        }
        self.apply();
        let this = self.clone();
        let ended = self.shared.ended.clone();
        self.shared
            .tasks
            .spawn(async move { ended.run_until_cancelled(this.follow()).await });
    }

    /// Exchanges the connectors of the configuration file.
    pub fn configure(&self, servers: &BTreeMap<ConnectorName, ServerConfig>) {
        lock(&self.shared.configured).clone_from(servers);
        if self.shared.registry.get().is_some() && !self.shared.ended.is_cancelled() {
            self.apply();
        }
    }

    /// Waits until each connector was asked once. Cancel safe.
    pub async fn settled(&self) {
        let waiting: Vec<_> = {
            let connectors = lock(&self.shared.connectors);
            connectors
                .values()
                .map(|running| running.status.clone())
                .collect()
        };
        for mut status in waiting {
            // An error means that the connector is gone.
            let _ = status
                .wait_for(|status| status.condition != Condition::Starting)
                .await;
        }
    }

    /// How all connectors do, by name.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        let connectors = lock(&self.shared.connectors);
        let status = |running: &Running| running.status.borrow().clone();
        let mut statuses: Vec<_> = connectors.values().map(status).collect();
        drop(connectors);
        let lists = lock(&self.shared.lists);
        for status in &mut statuses {
            let listed = status
                .name
                .parse()
                .ok()
                .and_then(|name: ConnectorName| lists.get(&name));
            let age = listed.map(|listed| listed.manifest.asked_at.elapsed().as_millis());
            status.age_ms = age.map(|age| u64::try_from(age).unwrap_or(u64::MAX));
        }
        statuses
    }

    /// Asks a connector for its tools now, whatever is known of them, and says what came of it;
    /// `None` if there is no such connector. Cancel safe: the connector is asked nevertheless.
    pub async fn refresh(&self, name: &ConnectorName) -> Option<Status> {
        let asked = lock(&self.shared.connectors).get(name)?.asked.clone();
        let (who, answer) = oneshot::channel();
        asked.send(who).await.ok()?;
        answer.await.ok()
    }

    /// How long it took to ask connectors for their tools.
    #[must_use]
    pub fn durations(&self) -> &SyncDurations {
        &self.shared.durations
    }

    /// Ends all connectors, and writes what was learned.
    pub async fn close(&self) {
        self.shared.ended.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        lock(&self.shared.connectors).clear();
        self.shared.flush().await;
    }

    /// Ends the connectors that are gone or changed, and begins those that are new.
    fn apply(&self) {
        let mut connectors = lock(&self.shared.connectors);
        let wanted = self.shared.wanted();
        connectors.retain(|name, running| {
            let stays = wanted.get(name) == Some(&running.server);
            if !stays {
                running.ended.cancel();
            }
            stays
        });
        for (name, server) in wanted {
            if connectors.contains_key(&name) {
                continue;
            }
            match self.begin(&name, server) {
                Ok(running) => {
                    connectors.insert(name, running);
                }
                Err(error) => tracing::error!(connector = %name, "not used: {error}"),
            }
        }
    }

    fn begin(&self, name: &ConnectorName, server: ServerConfig) -> Result<Running, UpstreamError> {
        let changed = Arc::new(Notify::new());
        let upstream = self.stack.build(name, &server, &changed)?;
        let transport = match server.way() {
            Some(Way::Url(_)) => "http",
            _ => "stdio",
        };
        let (status, seen) = watch::channel(starting(name, transport));
        let (asked, asks) = mpsc::channel(ASKED_MAX);
        let ended = self.shared.ended.child_token();
        let generation = self.shared.generations.fetch_add(1, Ordering::Relaxed);
        let worker = Worker {
            name: name.clone(),
            generation,
            transport,
            upstream: upstream.clone(),
            shared: self.shared.clone(),
            changed,
            asked: asks,
            status,
            ended: ended.clone(),
        };
        self.shared.tasks.spawn(worker.run());
        Ok(Running {
            generation,
            server,
            upstream,
            status: seen,
            asked,
            ended,
        })
    }

    /// Writes what was learned, and takes over what other processes have written.
    async fn follow(&self) {
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Writing takes over what others have written, too.
            let mut changed = self.shared.flush().await;
            let store = self.shared.store.clone();
            match tokio::task::spawn_blocking(move || store.look()).await {
                Ok(Ok(looked)) => changed |= looked,
                Ok(Err(error)) => tracing::warn!("connectors stay as they are: {error}"),
                Err(error) => tracing::error!(%error, "connectors stay as they are"),
            }
            if changed {
                self.apply();
            }
        }
    }
}

impl Shared {
    /// The right to ask one connector, of which there are few.
    pub(super) async fn sync_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.syncs.acquire().await.ok()
    }

    /// Exchanges what is offered of a connector, if it is the one of that generation. Returns how
    /// many of its tools can be called.
    pub(super) fn publish(
        &self,
        name: &ConnectorName,
        generation: u64,
        listed: Option<Listed>,
    ) -> usize {
        let mut lists = lock(&self.lists);
        let connectors = lock(&self.connectors);
        let running = connectors.get(name).map(|running| running.generation);
        if running.is_some_and(|running| running != generation) {
            return 0;
        }
        match listed {
            Some(listed) if running.is_some() => {
                lists.insert(name.clone(), listed);
            }
            _ => {
                lists.remove(name);
            }
        }
        let Some(registry) = self.registry.get().and_then(Weak::upgrade) else {
            return 0;
        };
        let named = naming::assign(|name| registry.is_local(name), &lists);
        let count = named
            .iter()
            .filter(|named| named.connector == *name)
            .count();
        let tools = named.into_iter().filter_map(|named| {
            let upstream = connectors.get(&named.connector)?.upstream.clone();
            Some(Arc::new(UpstreamTool::new(named, upstream)) as Arc<dyn DynTool>)
        });
        let tools = tools.collect();
        drop(connectors);
        registry.set_remote(tools, freshness(&lists));
        count
    }

    /// Notes how a connector did.
    pub(super) fn report(&self, name: &ConnectorName, report: Report) {
        let before = self
            .store
            .records()
            .remove(name)
            .and_then(|record| record.report);
        // What is the same as before is not worth a write.
        let same = before
            .is_some_and(|before| (before.tools, &before.error) == (report.tools, &report.error));
        if !same {
            self.store.report(name, report);
        }
    }

    /// Whether the file was written.
    async fn flush(&self) -> bool {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.flush()).await {
            Ok(Ok(written)) => return written,
            Ok(Err(error)) => tracing::warn!("what connectors did is not written yet: {error}"),
            Err(error) => tracing::error!(%error, "what connectors did is not written"),
        }
        false
    }

    fn wanted(&self) -> BTreeMap<ConnectorName, ServerConfig> {
        let records = self.store.records().into_iter();
        let mut wanted: BTreeMap<_, _> = records
            .map(|(name, record)| (name, record.server))
            .collect();
        wanted.extend(lock(&self.configured).clone());
        wanted.retain(|_, server| server.enabled);
        wanted
    }
}

fn freshness(lists: &BTreeMap<ConnectorName, Listed>) -> Freshness {
    let stale = lists.iter().filter(|(_, listed)| listed.stale.is_some());
    Freshness {
        until: lists.values().map(|listed| listed.fresh_until).min(),
        private: lists
            .values()
            .any(|listed| listed.manifest.scope == CacheScope::Private),
        stale_since: stale
            .map(|(name, listed)| (name.to_string(), listed.manifest.asked_at))
            .collect::<Vec<(String, Instant)>>(),
    }
}

fn starting(name: &ConnectorName, transport: &'static str) -> Status {
    Status {
        name: name.to_string(),
        condition: Condition::Starting,
        tools: 0,
        transport,
        server: None,
        protocol: None,
        age_ms: None,
        error: None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
