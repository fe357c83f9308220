//! All that the server knows of itself at one moment, in the form that everybody gets it in.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Alert, Counts, DependencyStatus, GradeStatus, LeakStatus, OverallStatus, Parts, ProcessStatus,
    Tier, TrendStatus, millis,
};
use crate::{
    auth::Scope, call::Lane, client::ClientStats, memory::Owner, telemetry::SlowOperation,
    transport::http::HttpStats,
};

/// All that the server knows of itself at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Status {
    /// The version of this program.
    pub version: &'static str,
    /// When this was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How long the server has been running.
    pub uptime_ms: u64,
    /// Whether calls are counted; what comes from counting them is empty otherwise.
    pub enabled: bool,
    /// What it all comes to.
    pub grade: GradeStatus,
    /// How far calls met what is expected of them, tier by tier, in the last hour.
    pub targets: Vec<TargetStatus>,
    /// All calls together.
    pub all: OverallStatus,
    /// The calls of each tool by each kind of client.
    pub tools: Vec<ToolStatus>,
    /// What is not as it should be.
    pub alerts: AlertsStatus,
    /// How what calls take changes from hour to hour; looked at every ten minutes.
    pub trends: Vec<TrendStatus>,
    /// How what the process holds grows; looked at every ten minutes.
    pub leaks: Vec<LeakStatus>,
    /// What the process uses of the machine.
    pub process: ProcessStatus,
    /// What the server depends on.
    pub dependencies: Vec<DependencyStatus>,
    /// The calls that took too long.
    pub slow: SlowStatus,
    /// The clients that are connected.
    pub clients: Vec<ClientStats>,
    /// What the HTTP server has counted.
    pub http: HttpStats,
    /// What the parts say of themselves.
    #[serde(flatten)]
    pub parts: Parts,
}

/// How far the calls of one tier met what is expected of them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetStatus {
    /// The tier.
    pub tier: Tier,
    /// What a call may take.
    pub target_ms: f64,
    /// How many calls there were in the last hour.
    pub calls: u64,
    /// The share of them that met the target, 0 to 1; 1 where there was none.
    pub met_share: f64,
    /// Whether 95 of 100 did.
    pub performance_target_met: bool,
}

/// The calls of one tool by one kind of client.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ToolStatus {
    /// The tool; `other` for all that came when there were too many to tell apart.
    pub tool: String,
    /// The kind of client.
    pub lane: Lane,
    /// What is expected of it.
    pub tier: Tier,
    /// The last minute.
    pub minute: WindowStatus,
    /// The last hour.
    pub hour: WindowStatus,
    /// The last day.
    pub day: WindowStatus,
}

/// The calls of one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct WindowStatus {
    /// How many.
    pub calls: u64,
    /// How many failed by this server's fault, or that of what it depends on.
    pub errors: u64,
    /// How many were answered with an error that is the caller's.
    pub caller_errors: u64,
    /// Calls per second.
    pub per_second: f64,
    /// What they took on average.
    pub mean_ms: f64,
    /// What half of them did not exceed.
    pub p50_ms: f64,
    /// What 95 of 100 did not exceed.
    pub p95_ms: f64,
    /// What 99 of 100 did not exceed.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The average without the time that other servers took; absent where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_mean_ms: Option<f64>,
}

/// What is not as it should be, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct AlertsStatus {
    /// The alerts that there are, the worst first.
    pub active: Vec<Alert>,
    /// The last ones that are over, the newest first.
    pub history: Vec<Alert>,
    /// How many there were since the start.
    pub raised: u64,
}

/// The calls that took too long.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SlowStatus {
    /// From what on that is.
    pub threshold_ms: f64,
    /// How many there were since the start.
    pub total: u64,
    /// The last ones, the newest first.
    pub latest: Vec<SlowOperation>,
}

impl Status {
    /// As far as `owner` may know it: who looks after the server sees all clients, everybody else
    /// their own.
    #[must_use]
    pub fn seen_by(mut self, owner: &Owner, scope: Scope) -> Self {
        if scope < Scope::Admin {
            self.clients
                .retain(|client| client.user_id == owner.as_str());
            self.forget_tags();
        }
        self
    }
}

impl Status {
    /// Leaves out the tags, in which may stand what somebody called a tool with.
    pub(super) fn forget_tags(&mut self) {
        for cache in &mut self.parts.caches {
            cache.tags.clear();
        }
    }
}

impl WindowStatus {
    /// `counts` of a window that has lasted for `span`.
    pub(super) fn of(counts: &Counts, own: Option<&Counts>, span: Duration) -> Self {
        let calls = counts.calls();
        Self {
            calls,
            errors: counts.failed,
            caller_errors: counts.refused,
            per_second: calls as f64 / span.as_secs_f64().max(1e-3),
            mean_ms: millis(counts.mean()),
            p50_ms: millis(counts.quantile(0.5)),
            p95_ms: millis(counts.quantile(0.95)),
            p99_ms: millis(counts.quantile(0.99)),
            max_ms: millis(counts.max()),
            own_mean_ms: own.map(|own| millis(own.mean())),
        }
    }
}
