//! The status in few words, for a model to read.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Alert, GradeStatus, Status, TargetStatus, TrendStatus};

/// How the server does, in few words.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// How long the server has been running.
    pub uptime_ms: u64,
    /// What it all comes to, and why.
    pub grade: GradeStatus,
    /// Whether 95 of 100 calls of each tier met what is expected of them in the last hour.
    pub performance_target_met: bool,
    /// The same tier by tier.
    pub targets: Vec<TargetStatus>,
    /// What is not as it should be, the worst first.
    pub alerts: Vec<Alert>,
    /// The tools that were called in the last hour, the busiest first; at most 20.
    pub tools: Vec<ToolSummary>,
    /// How often caches had the answer.
    pub caches: Vec<CacheSummary>,
    /// What does not do all of its work.
    pub troubled: Vec<Trouble>,
    /// Tools whose calls take longer and longer.
    pub drifts: Vec<TrendStatus>,
    /// Memory of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// The calls of one tool in the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ToolSummary {
    /// The tool.
    pub tool: String,
    /// The kind of client.
    pub client_type: &'static str,
    /// Calls.
    pub calls: u64,
    /// Those that failed by the server's fault.
    pub errors: u64,
    /// What half of them did not exceed.
    pub p50_ms: f64,
    /// What 95 of 100 did not exceed.
    pub p95_ms: f64,
}

/// How often a cache had the answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CacheSummary {
    /// What it keeps.
    pub name: &'static str,
    /// Where: `l1` or `l2`.
    pub tier: &'static str,
    /// The share of look-ups that it answered, 0 to 1.
    pub hit_share: f64,
    /// Look-ups.
    pub lookups: u64,
}

/// Something that the server depends on and that does not do all of its work.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trouble {
    /// Its name.
    pub name: String,
    /// `degraded` or `down`.
    pub state: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// The most tools that are told of.
const TOOLS_MAX: usize = 20;

impl From<Status> for Summary {
    fn from(status: Status) -> Self {
        let mut tools: Vec<_> = status
            .tools
            .into_iter()
            .filter(|tool| tool.hour.calls > 0)
            .map(|tool| ToolSummary {
                client_type: tool.lane.name(),
                calls: tool.hour.calls,
                errors: tool.hour.errors,
                p50_ms: tool.hour.p50_ms,
                p95_ms: tool.hour.p95_ms,
                tool: tool.tool,
            })
            .collect();
        tools.sort_by_key(|tool| std::cmp::Reverse(tool.calls));
        tools.truncate(TOOLS_MAX);
        let caches = status.parts.caches.iter().map(|cache| CacheSummary {
            name: cache.name,
            tier: cache.tier.name(),
            hit_share: cache.hit_share,
            lookups: cache.hits + cache.misses,
        });
        let troubled = status
            .dependencies
            .into_iter()
            .map(|status| status.dependency);
        let troubled = troubled.filter(|at| at.state != super::DependencyState::Up);
        Self {
            uptime_ms: status.uptime_ms,
            grade: status.grade,
            performance_target_met: status.targets.iter().all(|t| t.performance_target_met),
            targets: status.targets,
            alerts: status.alerts.active,
            tools,
            caches: caches.collect(),
            troubled: troubled
                .map(|at| Trouble {
                    name: at.name,
                    state: at.state.name(),
                    detail: at.detail,
                })
                .collect(),
            drifts: status.trends.into_iter().filter(|t| t.is_drift).collect(),
            resident_bytes: status.process.resident_bytes,
        }
    }
}
