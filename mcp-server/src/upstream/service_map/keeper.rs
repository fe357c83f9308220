//! The keeper of the service map: reads it again and again, and tells what it lists.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{
        Condition, ConnectorName, ConnectorsConfig, RefreshConfig, ServerConfig, random::chance,
        schedule::jittered,
    },
    MapError, MapSource, MapStatus, ServiceMapConfig, Signed,
    document::ServiceMap,
    kept,
    signature::Key,
};

/// What a map lists.
pub type Services = BTreeMap<ConnectorName, ServerConfig>;

/// Reads the map when that is due, and keeps the last good one.
pub(in crate::upstream) struct Keeper {
    source: Box<dyn MapSource>,
    config: ServiceMapConfig,
    /// How long to wait after failures.
    refresh: RefreshConfig,
    /// Where the last good one is kept for the next start.
    kept_at: PathBuf,
    status: watch::Sender<Option<MapStatus>>,
    /// The map in force.
    known: Option<(Signed, ServiceMap)>,
}

impl Keeper {
    /// One that reads `source`, keeps the last good map in the file `kept_at`, and says in `status`
    /// how it does.
    pub(in crate::upstream) fn new(
        source: Box<dyn MapSource>,
        config: &ConnectorsConfig,
        kept_at: PathBuf,
        status: watch::Sender<Option<MapStatus>>,
    ) -> Self {
        Self {
            source,
            config: config.service_map.clone(),
            refresh: config.refresh.clone(),
            kept_at,
            status,
            known: None,
        }
    }

    /// Works until it is dropped; `tell` hears of each map that is another one.
    pub(in crate::upstream) async fn run(mut self, tell: impl Fn(Services)) {
        self.remember(&tell).await;
        let mut failures = 0_u32;
        loop {
            let looked = self.look().await;
            if let Ok(Some(services)) = &looked {
                tell(services.clone());
            }
            failures = match &looked {
                Ok(_) => 0,
                Err(error) => {
                    tracing::warn!("the service map stays as it is: {error}");
                    failures.saturating_add(1)
                }
            };
            self.note(looked.err());
            match pause(failures, &self.config, &self.refresh) {
                Some(pause) => sleep(jittered(pause, chance())).await,
                None => return std::future::pending().await,
            }
        }
    }

    /// Takes up the map that was kept by an earlier process, if it is signed.
    async fn remember(&mut self, tell: &impl Fn(Services)) {
        let path = self.kept_at.clone();
        let read = tokio::task::spawn_blocking(move || kept::read(&path)).await;
        let Ok(Some(signed)) = read else {
            return;
        };
        let map = key(&self.config)
            .and_then(|key| ServiceMap::accept(&signed, &key, None, self.config.allow_local));
        match map {
            Ok(map) => {
                tell(map.services.clone());
                self.known = Some((signed, map));
            }
            Err(error) => tracing::warn!("the service map of the last time is not used: {error}"),
        }
    }

    /// Reads the map; what it lists if it is another one.
    async fn look(&mut self) -> Result<Option<Services>, MapError> {
        let known = self.known.as_ref();
        let (signed, map) = read(self.source.as_ref(), &self.config, known).await?;
        self.status.send_modify(|status| {
            if let Some(status) = status {
                status.read_at = Some(Instant::now());
            }
        });
        let is_same = self.known.as_ref().is_some_and(|(_, known)| *known == map);
        if is_same {
            return Ok(None);
        }
        let (path, keep) = (self.kept_at.clone(), signed.clone());
        let kept = tokio::task::spawn_blocking(move || kept::write(&path, &keep)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!("the service map is not kept for the next start: {error}");
        }
        let services = map.services.clone();
        tracing::info!(
            serial = map.serial,
            services = services.len(),
            "a new service map"
        );
        self.known = Some((signed, map));
        Ok(Some(services))
    }

    /// Lets everybody know how it does.
    fn note(&self, error: Option<MapError>) {
        let known = self.known.as_ref().map(|(_, map)| map);
        self.status.send_modify(|status| {
            let Some(status) = status else {
                return;
            };
            status.condition = match (known, &error) {
                (Some(_), None) => Condition::Ready,
                (Some(_), Some(_)) => Condition::Stale,
                (None, _) => Condition::Failed,
            };
            status.services = known.map_or(0, |map| map.services.len());
            status.serial = known.map(|map| map.serial);
            status.error = error.map(|error| error.to_string());
        });
    }
}

/// The map and what it says, if it is to be believed.
async fn read(
    source: &dyn MapSource,
    config: &ServiceMapConfig,
    known: Option<&(Signed, ServiceMap)>,
) -> Result<(Signed, ServiceMap), MapError> {
    let key = key(config)?;
    let limit = config.timeout;
    let read = timeout(limit, source.read()).await;
    let signed = read.unwrap_or(Err(MapError::Timeout { limit }))?;
    let map = ServiceMap::accept(&signed, &key, known, config.allow_local)?;
    Ok((signed, map))
}

/// Reads a map once: its serial number, and what it lists.
///
/// # Errors
///
/// Why it would not be used.
pub async fn read_map(
    source: &dyn MapSource,
    config: &ServiceMapConfig,
) -> Result<(u64, Services), MapError> {
    let (_, map) = read(source, config, None).await?;
    Ok((map.serial, map.services))
}

fn key(config: &ServiceMapConfig) -> Result<Key, MapError> {
    let failed = |reason: String| MapError::Key { reason };
    let Some(key) = &config.key else {
        return Err(failed("there is none".to_owned()));
    };
    let text = key
        .expand(|name| std::env::var(name).ok())
        .map_err(|error| failed(error.to_string()))?;
    Key::new(config.signature, &text).map_err(|reason| failed(reason.to_owned()))
}

/// How long to wait before the map is read again after so many failures in a row; `None`: for ever.
fn pause(failures: u32, config: &ServiceMapConfig, refresh: &RefreshConfig) -> Option<Duration> {
    let longest = match config.interval.is_zero() {
        true => refresh.backoff_max,
        false => config.interval,
    };
    match failures {
        0 => (!config.interval.is_zero()).then_some(config.interval),
        _ => {
            let doublings = (failures - 1).min(20);
            Some(refresh.backoff.saturating_mul(1 << doublings).min(longest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_followed_sooner_but_ever_later() {
        let refresh = RefreshConfig::default();
        let mut config = ServiceMapConfig::default();
        let seconds = |failures, config: &ServiceMapConfig| {
            pause(failures, config, &refresh).map(|pause| pause.as_secs())
        };
        for (failures, expect) in [(0, 300), (1, 1), (2, 2), (9, 256), (10, 300), (99, 300)] {
            assert_eq!(seconds(failures, &config), Some(expect), "{failures}");
        }
        config.interval = Duration::ZERO;
        assert_eq!(seconds(0, &config), None);
        assert_eq!(seconds(99, &config), Some(600));
    }
}
