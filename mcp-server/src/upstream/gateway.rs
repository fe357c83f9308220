//! All connectors: which there are, one worker for each, and one list of tools.

mod observed;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::MissedTickBehavior,
};

use super::{
    Changes, Condition, ConnectorName, ConnectorsConfig, MapSource, MapStatus, ServerConfig,
    ServiceMapConfig, Status, Store, SyncDurations, UpstreamError, Wanted, Way,
    service_map::Keeper,
    shared::{Running, Shared, lock},
    worker::Worker,
};
use crate::{ports::Upstream, tools::Registry};

pub use observed::MapReadiness;

/// How often what was learned is written, and the file looked at.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The name of the file in the data folder that keeps the last good service map.
const KEPT_MAP: &str = "service_map.json";
/// How many may wait for one connector to be asked.
const ASKED_MAX: usize = 64;

/// Puts together what stands before one upstream.
pub trait Stack: Send + Sync {
    /// The upstream of that name and these settings. `changes` is told when its tools may be others.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Settings`].
    fn build(
        &self,
        name: &ConnectorName,
        server: &ServerConfig,
        changes: &Arc<Changes>,
    ) -> Result<Arc<dyn Upstream>, UpstreamError>;

    /// Where the service map of these settings is read; `None` if they name none.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Settings`].
    fn map_source(
        &self,
        config: &ServiceMapConfig,
    ) -> Result<Option<Box<dyn MapSource>>, UpstreamError>;
}

/// The gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    stack: Arc<dyn Stack>,
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
        Self {
            shared: Arc::new(Shared::new(config, store)),
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
        let this = self.clone();
        let ended = self.shared.ended.clone();
        self.shared
            .tasks
            .spawn(async move { ended.run_until_cancelled(this.keep_map()).await });
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
        let starting = |map: &MapStatus| map.condition == Condition::Starting;
        // An error means that the gateway is gone.
        let _ = self
            .shared
            .map
            .subscribe()
            .wait_for(|map| !map.as_ref().is_some_and(starting))
            .await;
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
        for status in &mut statuses {
            status.age_ms = self.shared.age_ms(&status.name);
        }
        statuses
    }

    /// How the service map does; `None` if the settings name none.
    #[must_use]
    pub fn map_status(&self) -> Option<MapStatus> {
        let status = self.shared.map.borrow().clone();
        status.map(MapStatus::aged)
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
        self.shared.rearrange(|connectors| {
            // Whoever comes later knows no less.
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
        });
    }

    fn begin(&self, name: &ConnectorName, server: ServerConfig) -> Result<Running, UpstreamError> {
        let changes = Arc::new(Changes::default());
        let upstream = self.stack.build(name, &server, &changes)?;
        let transport = match server.way() {
            Some(Way::Url(_)) => "http",
            _ => "stdio",
        };
        let (status, seen) = watch::channel(starting(name, transport));
        let (asked, asks) = mpsc::channel(ASKED_MAX);
        let ended = self.shared.ended.child_token();
        let generation = self.shared.next_generation();
        let worker = Worker {
            name: name.clone(),
            generation,
            transport,
            upstream: upstream.clone(),
            shared: self.shared.clone(),
            changes,
            owed: Wanted::Fresh,
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

    /// Follows the service map, if the settings name one.
    async fn keep_map(&self) {
        let config = &self.shared.config.service_map;
        let source = match self.stack.map_source(config) {
            Ok(Some(source)) => source,
            Ok(None) => return,
            Err(error) => return self.shared.map_failed(&error),
        };
        let kept_at = self.shared.store.path().with_file_name(KEPT_MAP);
        let keeper = Keeper::new(
            source,
            &self.shared.config,
            kept_at,
            self.shared.map.clone(),
        );
        keeper
            .run(|services| {
                *lock(&self.shared.mapped) = services;
                self.apply();
            })
            .await;
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
