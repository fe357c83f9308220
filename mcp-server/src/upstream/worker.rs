//! The keeper of one connector: asks it for its tools, when that is due or somebody wants it, one
//! time after the other.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Changes, Condition, ConnectorName, Listed, Report, Status, Until, UpstreamError, Wanted,
    random::chance,
    schedule::{is_in_share, jittered},
    shared::Shared,
};
use crate::ports::Upstream;

/// The least time between two times that an upstream is asked because it says that it changed.
const CHANGES_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure that the upstream itself does not count.
const PAUSE: Duration = Duration::from_secs(5);

/// Somebody who wants a connector to be asked now, and hear what came of it.
pub(super) type Asked = oneshot::Sender<Status>;

/// A connector and those who are interested in it.
pub(super) struct Worker {
    pub(super) name: ConnectorName,
    pub(super) generation: u64,
    pub(super) transport: &'static str,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) shared: Arc<Shared>,
    pub(super) changes: Arc<Changes>,
    /// What was asked of the upstream in vain so far.
    pub(super) owed: Wanted,
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) status: watch::Sender<Status>,
    pub(super) ended: CancellationToken,
}

/// Why the upstream is asked.
enum Reason {
    Due,
    Heard,
    Asked(Asked),
}

impl Worker {
    /// Works until it is told to end, and then takes the connector's tools away, and ends it when its
    /// calls are answered.
    pub(super) async fn run(mut self) {
        let ended = self.ended.clone();
        ended.run_until_cancelled(self.work()).await;
        self.shared.publish(&self.name, self.generation, None);
        // Calls at work go on under the settings that they began with.
        let gone = self.shared.ended.clone();
        gone.run_until_cancelled(self.upstream.idle()).await;
        self.upstream.close().await;
    }

    async fn work(&mut self) {
        let mut reason = Reason::Due;
        loop {
            let began = Instant::now();
            let listed = self.sync(&reason).await;
            let status = self.note(&listed);
            if let Reason::Asked(who) = reason {
                // They may not wait any more.
                let _ = who.send(status);
            }
            reason = self.next(&listed, began).await;
        }
    }

    async fn sync(&mut self, reason: &Reason) -> Result<Listed, UpstreamError> {
        if matches!(reason, Reason::Asked(_)) {
            self.upstream.asked();
        }
        let _one = self.shared.sync_permit().await;
        let began = Instant::now();
        let heard = self.changes.take();
        let wanted = match reason {
            Reason::Asked(_) => Wanted::Anew,
            Reason::Due | Reason::Heard => heard.max(self.owed),
        };
        let listed = self.upstream.tools(wanted).await;
        self.owed = match &listed {
            Ok(Listed { stale: None, .. }) => Wanted::Fresh,
            _ => wanted,
        };
        self.shared.durations.record(began.elapsed());
        match &listed {
            Ok(Listed {
                stale: None,
                manifest,
                ..
            }) => {
                tracing::debug!(connector = %self.name, tools = manifest.tools.len(), "synchronised");
            }
            Ok(Listed {
                stale: Some(reason),
                ..
            }) => {
                tracing::warn!(connector = %self.name, "an old list of tools is served: {reason}");
            }
            Err(error) => tracing::warn!(connector = %self.name, "no list of tools: {error}"),
        }
        listed
    }

    /// Lets everybody know what came of it.
    fn note(&self, listed: &Result<Listed, UpstreamError>) -> Status {
        let known = self
            .shared
            .publish(&self.name, self.generation, listed.as_ref().ok().cloned());
        let error = match listed {
            Ok(listed) => listed.stale.clone(),
            Err(error) => Some(error.to_string()),
        };
        let manifest = listed.as_ref().ok().map(|listed| &listed.manifest);
        let age = manifest.map(|manifest| manifest.asked_at.elapsed().as_millis());
        let status = Status {
            name: self.name.to_string(),
            condition: match (listed, &error) {
                (Ok(_), None) => Condition::Ready,
                (Ok(_), Some(_)) => Condition::Stale,
                (Err(_), _) => Condition::Failed,
            },
            tools: known,
            transport: self.transport,
            server: manifest.map(|manifest| manifest.server.clone()),
            protocol: manifest.map(|manifest| manifest.protocol.clone()),
            age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
            error: error.clone(),
        };
        self.shared.report(
            &self.name,
            Report {
                at: Timestamp::now(),
                tools: known,
                error,
            },
        );
        self.status.send_replace(status.clone());
        status
    }

    /// Waits for the next reason to ask.
    async fn next(&mut self, listed: &Result<Listed, UpstreamError>, began: Instant) -> Reason {
        let due = self.due(listed);
        let changes_from = began + CHANGES_EVERY;
        let heard = async {
            self.changes.heard().await;
            sleep_until(changes_from).await;
        };
        tokio::select! {
            Some(who) = self.asked.recv() => Reason::Asked(who),
            () = heard => Reason::Heard,
            () = until(due) => Reason::Due,
        }
    }

    /// When it is asked without a reason; `None`: not before there is one.
    fn due(&self, listed: &Result<Listed, UpstreamError>) -> Option<Instant> {
        let now = Instant::now();
        let failed = match listed {
            Ok(listed) => listed.stale.is_some(),
            Err(_) => true,
        };
        if failed {
            return match self.upstream.pause() {
                Some(Until::Moment(until)) => Some(until),
                Some(Until::Asked) => None,
                None => Some(now + PAUSE),
            };
        }
        let refresh = &self.shared.config.refresh;
        if refresh.interval.is_zero() || !is_in_share(&self.name, refresh.share_percent) {
            return None;
        }
        let mut next = now + jittered(refresh.interval, chance());
        if let Ok(Listed {
            manifest,
            fresh_until,
            ..
        }) = listed
            && manifest.ttl.is_some_and(|ttl| !ttl.is_zero())
        {
            // It says itself when it will have something else to say.
            next = next.min((*fresh_until).max(now + CHANGES_EVERY));
        }
        Some(next)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
