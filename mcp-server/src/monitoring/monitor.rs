//! The monitor: gathers what the parts say, keeps the windows moving, and looks for what is not as it
//! should be.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Alerts, AlertsStatus, CountStatus, Counts, Dependency, DependencyState, GradeStatus, Measured,
    MonitoringConfig, News, OverallStatus, Parts, ProcessStatus, Recorder, Series, SlotStatus,
    SlowStatus, Span, Status, Turn, WindowStatus,
    dependencies::Dependencies,
    judge, millis, overall,
    status::{ToolStatus, targets},
};
use crate::{
    auth::Scope,
    client::Clients,
    memory::Owner,
    ports::{Observed, Readiness},
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
        let mut follows = interval(self.0.config.window / 12);
        let mut looks = interval(self.0.config.alerts.interval);
        follows.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = follows.tick() => self.0.recorder.follow(),
                _ = looks.tick() => self.look().await,
            }
        }
    }

    /// Asks the parts whether they are fit, and takes note of what is not as it should be.
    pub async fn look(&self) {
        self.check().await;
        let now = Timestamp::now();
        let parts = self.parts();
        let known = parts.dependencies.clone();
        let dependencies = lock(&self.0.dependencies).note(now, known);
        let window = self.0.recorder.window(Span::Minute);
        let measured = Measured {
            tools: by_tool(&window),
            pools: &parts.pools,
            streams: parts.streams.clone(),
            resident_bytes: ProcessStatus::now().resident_bytes,
            dependencies: dependencies.iter().map(|at| &at.dependency).collect(),
        };
        let findings = judge(&self.0.config.alerts, &measured);
        let news = lock(&self.0.alerts).step(now, findings);
        for News { turn, alert } in &news {
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

    fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        let observed = lock(&self.0.parts).clone();
        let serving = lock(&self.0.serving).clone();
        for part in observed.iter().chain(&serving) {
            part.observe(&mut parts);
        }
        parts
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
        let known = parts.dependencies.clone();
        let alerts = lock(&shared.alerts);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            at: now,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            enabled: shared.config.enabled,
            grade: self.grade([&minute, &hour, &day]),
            targets: targets(&hour),
            all: self.overall([&minute, &hour, &day], uptime),
            tools: self.tools([&minute, &hour, &day], uptime),
            alerts: AlertsStatus {
                active: alerts.active(),
                history: alerts.history(),
                raised: alerts.raised(),
            },
            process: ProcessStatus::now(),
            dependencies: lock(&shared.dependencies).note(now, known),
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

    /// Of the shortest window that has enough calls to be judged by.
    fn grade(&self, [minute, hour, day]: [&[Series]; 3]) -> GradeStatus {
        let enough = self.0.config.alerts.samples_min.max(1);
        for (name, window) in [("minute", minute), ("hour", hour)] {
            let counts = own_counts(window);
            if counts.calls() >= enough {
                return GradeStatus::of(&counts, name);
            }
        }
        GradeStatus::of(&own_counts(day), "day")
    }

    /// All calls of the last hour or day, slot by slot, the oldest first.
    #[must_use]
    pub fn history(&self, span: Span) -> Vec<SlotStatus> {
        overall::slots(Timestamp::now(), &self.0.recorder.history(span))
    }

    fn overall(&self, [minute, hour, day]: [&[Series]; 3], uptime: Duration) -> OverallStatus {
        let [short, middle, long] = self.spans().map(|span| span.min(uptime));
        OverallStatus {
            since_start: CountStatus::of(&self.0.recorder.totals()),
            minute: overall::together(minute, short),
            hour: overall::together(hour, middle),
            day: overall::together(day, long),
        }
    }

    /// How long the windows are.
    fn spans(&self) -> [Duration; 3] {
        [
            self.0.config.window,
            Duration::from_secs(3_600),
            Duration::from_secs(86_400),
        ]
    }

    fn tools(&self, windows: [&[Series]; 3], uptime: Duration) -> Vec<ToolStatus> {
        let spans = self.spans();
        // A series may have begun between two of the windows: it is in those after it, too.
        let mut tools: BTreeMap<_, ToolStatus> = BTreeMap::new();
        for (at, window) in windows.into_iter().enumerate() {
            // A server that has just begun has no window of a day.
            let span = spans[at].min(uptime);
            for series in window {
                let key = (series.tool.name(), series.lane.index());
                let tool = tools.entry(key).or_insert_with(|| ToolStatus {
                    tool: series.tool.name().to_owned(),
                    lane: series.lane,
                    tier: series.tool.tier(),
                    minute: WindowStatus::default(),
                    hour: WindowStatus::default(),
                    day: WindowStatus::default(),
                });
                let status = WindowStatus::of(&series.seen, series.here.as_ref(), span);
                match at {
                    0 => tool.minute = status,
                    1 => tool.hour = status,
                    _ => tool.day = status,
                }
            }
        }
        tools.into_values().collect()
    }
}

/// The calls of each tool by whatever client, without the time that other servers took.
fn by_tool(window: &[Series]) -> BTreeMap<&str, Counts> {
    let mut tools: BTreeMap<&str, Counts> = BTreeMap::new();
    for series in window {
        tools
            .entry(series.tool.name())
            .or_default()
            .add(series.own());
    }
    tools
}

fn own_counts(window: &[Series]) -> Counts {
    let mut all = Counts::default();
    for series in window {
        all.add(series.own());
    }
    all
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
