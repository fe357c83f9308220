//! The monitor: gathers what the parts say, keeps the windows moving, and looks for what is not as it
//! should be.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

use super::{
    Alerts, AlertsStatus, CacheStatus, Dependency, DependencyState, DependencyStatus, GradeStatus,
    Measured, MonitoringConfig, News, Parts, ProcessStatus, Recorder, ReportFolder, SlotStatus,
    SlowStatus, Span, Status, Turn, calls,
    dependencies::Dependencies,
    judge, lock, millis,
    minutes::{MINUTE, Minutes},
    overall,
    webhook::{self, Outbox},
};
use crate::{
    auth::Scope,
    client::Clients,
    memory::Owner,
    ports::{Courier, Observed, Readiness, RollupStore},
    telemetry::SlowOperations,
    transport::http,
};

/// A part that has not said that it is fit by then is not.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What the monitor reads from.
pub struct Sources {
    /// Where calls are counted.
    pub recorder: Arc<Recorder>,
    /// The parts that say how they do.
    pub parts: Vec<Arc<dyn Observed>>,
    /// The parts that are asked whether they are fit.
    pub checks: Vec<Arc<dyn Readiness>>,
    /// The calls that took too long.
    pub slow: Arc<SlowOperations>,
    /// The clients that are connected.
    pub clients: Clients,
    /// What the HTTP server counts.
    pub http: http::Counters,
    /// Who tells somebody of alerts, if anybody is to be told.
    pub courier: Option<Arc<dyn Courier>>,
    /// Where the numbers of each minute are kept, if they are.
    pub rollups: Option<Arc<dyn RollupStore>>,
    /// Where reports go, if there are any.
    pub reports: Option<ReportFolder>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("recorder", &self.recorder)
            .finish_non_exhaustive()
    }
}

/// Knows how the server does. Clones share it.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

struct Shared {
    config: MonitoringConfig,
    recorder: Arc<Recorder>,
    slow: Arc<SlowOperations>,
    clients: Clients,
    http: http::Counters,
    parts: Mutex<Vec<Arc<dyn Observed>>>,
    /// The sessions of the HTTP server that runs.
    serving: Mutex<Option<Arc<dyn Observed>>>,
    checks: Mutex<Vec<Arc<dyn Readiness>>>,
    dependencies: Mutex<Dependencies>,
    alerts: Mutex<Alerts>,
    outbox: Outbox,
    courier: Option<Arc<dyn Courier>>,
    minutes: Minutes,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Monitor {
    /// Reads from `sources`. Nothing is looked at before it is asked, or [runs](Self::run).
    #[must_use]
    pub fn new(config: MonitoringConfig, sources: Sources) -> Self {
        let history_max = config.alerts.history_max.get();
        let outbox = Outbox::new(config.alerts.webhook.queue_len_max.get());
        let minutes = Minutes::new(
            sources.rollups,
            sources.reports,
            config.keep_days,
            config.alerts.samples_min,
        );
        Self(Arc::new(Shared {
            config,
            recorder: sources.recorder,
            slow: sources.slow,
            clients: sources.clients,
            http: sources.http,
            parts: Mutex::new(sources.parts),
            serving: Mutex::new(None),
            checks: Mutex::new(sources.checks),
            dependencies: Mutex::default(),
            alerts: Mutex::new(Alerts::new(history_max)),
            outbox,
            courier: sources.courier,
            minutes,
        }))
    }

    /// Has `part` say how sessions do, in place of the one before.
    pub fn attach_sessions(&self, part: Arc<dyn Observed>) {
        *lock(&self.0.serving) = Some(part);
    }

    /// Lets go of the parts: they are about to end.
    pub fn close(&self) {
        lock(&self.0.parts).clear();
        lock(&self.0.checks).clear();
        lock(&self.0.serving).take();
    }

    /// Keeps the windows moving and looks for what is not as it should be, until it is dropped.
    pub async fn run(&self) {
        if !self.0.config.enabled {
            return;
        }
        let watching = self.watch();
        match &self.0.courier {
            Some(courier) => {
                let limit = self.0.config.alerts.webhook.timeout;
                let telling = webhook::tell(&self.0.outbox, courier, limit);
                tokio::join!(watching, telling);
            }
            None => watching.await,
        }
    }

    async fn watch(&self) {
        let mut follows = interval(self.0.config.window / 12);
        let mut looks = interval(self.0.config.alerts.interval);
        let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        follows.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = follows.tick() => self.0.recorder.follow(),
                _ = looks.tick() => self.look().await,
                _ = minutes.tick() => self.minute().await,
            }
        }
    }

    /// Asks the parts whether they are fit, and takes note of what is not as it should be.
    pub async fn look(&self) {
        self.check().await;
        let now = Timestamp::now();
        let parts = self.parts();
        let dependencies = self.dependencies(&parts.dependencies);
        let window = self.0.recorder.window(Span::Minute);
        let measured = Measured {
            tools: calls::by_tool(&window),
            pools: &parts.pools,
            streams: parts.streams.clone(),
            resident_bytes: ProcessStatus::now().resident_bytes,
            dependencies: dependencies.iter().map(|at| &at.dependency).collect(),
        };
        let mut findings = judge(&self.0.config.alerts, &measured);
        findings.extend(self.0.minutes.findings());
        let news = lock(&self.0.alerts).step(now, findings);
        for news in &news {
            if self.0.courier.is_some() {
                self.0.outbox.push(news);
            }
            let News { turn, alert } = news;
            let (kind, severity) = (alert.kind.name(), alert.severity.name());
            let (subject, message) = (&alert.subject, &alert.message);
            match turn {
                Turn::Raised | Turn::Changed => {
                    tracing::warn!(kind, severity, subject, "alert: {message}");
                }
                Turn::Resolved => tracing::info!(kind, severity, subject, "over: {message}"),
            }
        }
    }

    async fn check(&self) {
        let checks = lock(&self.0.checks).clone();
        let mut asked = Vec::with_capacity(checks.len());
        for part in checks {
            let verdict = timeout(CHECK_TIMEOUT, part.check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {CHECK_TIMEOUT:?}")));
            asked.push(Dependency {
                name: part.name().to_owned(),
                kind: part.kind(),
                state: match (&verdict, part.is_essential()) {
                    (Ok(()), _) => DependencyState::Up,
                    (Err(_), true) => DependencyState::Down,
                    (Err(_), false) => DependencyState::Degraded,
                },
                detail: verdict.err().unwrap_or_default(),
            });
        }
        lock(&self.0.dependencies).asked(asked);
    }

    /// What the parts say of themselves.
    pub(super) fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        let observed = lock(&self.0.parts).clone();
        let serving = lock(&self.0.serving).clone();
        for part in observed.iter().chain(&serving) {
            part.observe(&mut parts);
        }
        parts
    }

    /// Where calls are counted.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// The alerts that there are and were.
    #[must_use]
    pub fn alerts(&self) -> AlertsStatus {
        let alerts = lock(&self.0.alerts);
        AlertsStatus {
            active: alerts.active(),
            history: alerts.history(),
            raised: alerts.raised(),
        }
    }

    /// What the server depends on, of which the parts know `known` without asking.
    pub(super) fn dependencies(&self, known: &[Dependency]) -> Vec<DependencyStatus> {
        lock(&self.0.dependencies).note(Timestamp::now(), known.to_vec())
    }

    /// What it all comes to.
    pub(super) fn grade_now(&self) -> GradeStatus {
        let windows = [Span::Minute, Span::Hour, Span::Day];
        let [minute, hour, day] = windows.map(|span| self.0.recorder.window(span));
        calls::grade([&minute, &hour, &day], self.0.config.alerts.samples_min)
    }

    /// How the caches do.
    #[must_use]
    pub fn caches(&self) -> Vec<CacheStatus> {
        self.parts().caches
    }

    /// The last report as JSON, or one of this moment where none was written yet. Blocks on the file
    /// system.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn latest_report(&self) -> std::io::Result<String> {
        let folder = self.0.minutes.reports();
        match folder.map(ReportFolder::latest).transpose()?.flatten() {
            Some(report) => Ok(report),
            None => Ok(serde_json::to_string(&self.report(Timestamp::now()))?),
        }
    }

    pub(super) fn minutes(&self) -> &Minutes {
        &self.0.minutes
    }

    pub(super) fn slow_total(&self) -> u64 {
        self.0.slow.total()
    }

    pub(super) fn http_stats(&self) -> http::HttpStats {
        self.0.http.snapshot()
    }

    /// All that is known at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.0;
        let now = Timestamp::now();
        let recorder = &shared.recorder;
        let uptime = recorder.uptime();
        let [minute, hour, day] =
            [Span::Minute, Span::Hour, Span::Day].map(|span| recorder.window(span));
        let parts = self.parts();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            at: now,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            enabled: shared.config.enabled,
            grade: calls::grade([&minute, &hour, &day], shared.config.alerts.samples_min),
            targets: calls::targets(&hour),
            all: overall::of(
                [&minute, &hour, &day],
                &recorder.totals(),
                shared.config.window,
                uptime,
            ),
            tools: calls::tools([&minute, &hour, &day], shared.config.window, uptime),
            alerts: self.alerts(),
            trends: self.0.minutes.trends(),
            leaks: self.0.minutes.leaks(),
            process: ProcessStatus::now(),
            dependencies: self.dependencies(&parts.dependencies),
            slow: SlowStatus {
                threshold_ms: millis(shared.slow.threshold()),
                total: shared.slow.total(),
                latest: shared.slow.latest(),
            },
            clients: shared.clients.stats(),
            http: shared.http.snapshot(),
            parts,
        }
    }

    /// What is known at this moment, as far as `owner` may know it: who looks after the server sees
    /// all clients, everybody else their own.
    #[must_use]
    pub fn status_for(&self, owner: &Owner, scope: Scope) -> Status {
        self.status().seen_by(owner, scope)
    }

    /// All calls of the last hour or day, slot by slot, the oldest first.
    #[must_use]
    pub fn history(&self, span: Span) -> Vec<SlotStatus> {
        overall::slots(Timestamp::now(), &self.0.recorder.history(span))
    }
}
