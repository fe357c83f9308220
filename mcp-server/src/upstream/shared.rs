//! What the workers of all connectors share: what each offers, and the one list that comes of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use rmcp::model::CacheScope;
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Condition, ConnectorName, ConnectorsConfig, Listed, MapStatus, Report, ServerConfig, Status,
    Store, SyncDurations, UpstreamError, naming, tool::UpstreamTool, worker::Asked,
};
use crate::{
    ports::Upstream,
    tools::{DynTool, Freshness, Registry},
};

/// What workers share.
pub(super) struct Shared {
    pub(super) config: ConnectorsConfig,
    pub(super) durations: SyncDurations,
    /// Where the tools go; its own tools know this gateway.
    pub(super) registry: OnceLock<Weak<Registry>>,
    pub(super) store: Arc<Store>,
    syncs: Semaphore,
    lists: Mutex<BTreeMap<ConnectorName, Listed>>,
    /// Locked after `lists`.
    pub(super) connectors: Mutex<BTreeMap<ConnectorName, Running>>,
    /// Those of the configuration file, which go before those of the store.
    pub(super) configured: Mutex<BTreeMap<ConnectorName, ServerConfig>>,
    /// Those of the service map, which go behind those of the store.
    pub(super) mapped: Mutex<BTreeMap<ConnectorName, ServerConfig>>,
    /// How the service map does; `None`: there is none.
    pub(super) map: watch::Sender<Option<MapStatus>>,
    generations: AtomicU64,
    pub(super) tasks: TaskTracker,
    pub(super) ended: CancellationToken,
}

/// A connector that works.
pub(super) struct Running {
    /// Tells it from those of the same name before it, whose late results are nobody's.
    pub(super) generation: u64,
    pub(super) server: ServerConfig,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) asked: mpsc::Sender<Asked>,
    pub(super) ended: CancellationToken,
}

impl Shared {
    pub(super) fn new(config: ConnectorsConfig, store: Arc<Store>) -> Self {
        let syncs = config.syncs_max.get().min(Semaphore::MAX_PERMITS);
        Self {
            configured: Mutex::new(config.servers.clone()),
            map: watch::Sender::new(MapStatus::starting(&config.service_map)),
            config,
            durations: SyncDurations::default(),
            registry: OnceLock::new(),
            store,
            syncs: Semaphore::new(syncs),
            lists: Mutex::default(),
            connectors: Mutex::default(),
            mapped: Mutex::default(),
            generations: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }

    /// The right to ask one connector, of which there are few.
    pub(super) async fn sync_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.syncs.acquire().await.ok()
    }

    /// How old a connector's list is, in milliseconds.
    pub(super) fn age_ms(&self, name: &str) -> Option<u64> {
        let name: ConnectorName = name.parse().ok()?;
        let lists = lock(&self.lists);
        let age = lists.get(&name)?.manifest.asked_at.elapsed().as_millis();
        Some(u64::try_from(age).unwrap_or(u64::MAX))
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
        self.offer(&lists, &connectors, Some(name))
    }

    /// Has calls go to the connectors that there are after `change`. Where one was exchanged, the
    /// tools that are known lead to the new one, which says whether it has them.
    pub(super) fn rearrange(&self, change: impl FnOnce(&mut BTreeMap<ConnectorName, Running>)) {
        let mut lists = lock(&self.lists);
        let mut connectors = lock(&self.connectors);
        let generation = |running: &Running| running.generation;
        let before: BTreeMap<_, _> = connectors
            .iter()
            .map(|(name, running)| (name.clone(), generation(running)))
            .collect();
        change(&mut connectors);
        lists.retain(|name, listed| {
            let now = connectors.get(name).map(generation);
            if now.is_some() && now != before.get(name).copied() {
                listed.stale = Some("its settings were changed".to_owned());
                listed.fresh_until = Instant::now();
            }
            now.is_some()
        });
        self.offer(&lists, &connectors, None);
    }

    /// There is a service map in the settings that cannot even be looked for.
    pub(super) fn map_failed(&self, error: &UpstreamError) {
        tracing::warn!("there is no service map: {error}");
        self.map.send_modify(|status| {
            if let Some(status) = status {
                status.condition = Condition::Failed;
                status.error = Some(error.to_string());
            }
        });
    }

    fn offer(
        &self,
        lists: &BTreeMap<ConnectorName, Listed>,
        connectors: &BTreeMap<ConnectorName, Running>,
        name: Option<&ConnectorName>,
    ) -> usize {
        let Some(registry) = self.registry.get().and_then(Weak::upgrade) else {
            return 0;
        };
        let named = naming::assign(|name| registry.is_local(name), lists);
        let count = named
            .iter()
            .filter(|named| Some(&named.connector) == name)
            .count();
        let tools = named.into_iter().filter_map(|named| {
            let running = connectors.get(&named.connector)?;
            let trusted = running.server.trust_read_only_hint;
            let tool = UpstreamTool::new(named, running.upstream.clone(), trusted);
            Some(Arc::new(tool) as Arc<dyn DynTool>)
        });
        registry.set_remote(tools.collect(), freshness(lists));
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
    pub(super) async fn flush(&self) -> bool {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.flush()).await {
            Ok(Ok(written)) => return written,
            Ok(Err(error)) => tracing::warn!("what connectors did is not written yet: {error}"),
            Err(error) => tracing::error!(%error, "what connectors did is not written"),
        }
        false
    }

    /// All connectors that are to be used: those of the file of connectors go before those of the
    /// service map, and those of the configuration before both.
    pub(super) fn wanted(&self) -> BTreeMap<ConnectorName, ServerConfig> {
        let mut wanted = lock(&self.mapped).clone();
        let records = self.store.records().into_iter();
        wanted.extend(records.map(|(name, record)| (name, record.server)));
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
