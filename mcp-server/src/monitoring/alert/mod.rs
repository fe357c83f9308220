//! Alerts: what is not as it should be, since when, and what has been. The state machine is told
//! what was found and when; it reads no clock.

mod config;
mod rules;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

pub use config::{AlertsConfig, WebhookConfig};
pub use rules::{Finding, Measured, judge};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The average of a tool, in milliseconds.
    Latency,
    /// What 95 of 100 calls of a tool do not exceed, in milliseconds.
    LatencyP95,
    /// The share of a tool's calls that failed.
    Errors,
    /// The share of a pool that is lent.
    Pool,
    /// Memory of the process, in bytes.
    Memory,
    /// The share of the bytes for streams that is held.
    Streams,
    /// Something that the server depends on is not there.
    Dependency,
    /// Latency grows slowly; in percent an hour.
    Drift,
}

impl AlertKind {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::LatencyP95 => "latency_p95",
            Self::Errors => "errors",
            Self::Pool => "pool",
            Self::Memory => "memory",
            Self::Streams => "streams",
            Self::Dependency => "dependency",
            Self::Drift => "drift",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look at it.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that is not as it should be, or was not.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Alert {
    /// Tells it from all others since the start.
    pub id: u64,
    /// What kind of thing it is about.
    pub kind: AlertKind,
    /// What: a tool, a pool, a dependency, or `server`.
    pub subject: String,
    /// How bad it is; of one that is over, how bad it was at its worst.
    pub severity: Severity,
    /// What was measured last, in the unit of the kind.
    pub value: f64,
    /// What it should stay below.
    pub threshold: f64,
    /// The same in a sentence.
    pub message: String,
    /// When it was found.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When it was over; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub resolved_at: Option<Timestamp>,
}

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// It is new.
    Raised,
    /// It is worse, or less bad, than it was.
    Changed,
    /// It is over.
    Resolved,
}

/// News of an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct News {
    /// What has become of it.
    pub turn: Turn,
    /// The alert.
    pub alert: Alert,
}

/// The alerts that there are, and the last ones that there were.
#[derive(Debug)]
pub struct Alerts {
    active: BTreeMap<(AlertKind, String), Active>,
    history: VecDeque<Alert>,
    history_max: usize,
    raised: u64,
}

#[derive(Debug)]
struct Active {
    alert: Alert,
    worst: Severity,
}

impl Alerts {
    /// None yet; `history_max` are kept when they are over.
    #[must_use]
    pub fn new(history_max: usize) -> Self {
        Self {
            active: BTreeMap::new(),
            history: VecDeque::new(),
            history_max,
            raised: 0,
        }
    }

    /// Takes note of everything that is not as it should be at `now`; what is not found any more is
    /// over. Returns what is different.
    pub fn step(&mut self, now: Timestamp, findings: Vec<Finding>) -> Vec<News> {
        let mut news = Vec::new();
        let mut before = std::mem::take(&mut self.active);
        for finding in findings {
            let key = (finding.kind, finding.subject.clone());
            let (active, turn) = match before.remove(&key) {
                Some(active) => active.again(finding),
                None => {
                    self.raised += 1;
                    (Active::new(self.raised, now, finding), Some(Turn::Raised))
                }
            };
            if let Some(turn) = turn {
                let alert = active.alert.clone();
                news.push(News { turn, alert });
            }
            self.active.insert(key, active);
        }
        for Active { mut alert, worst } in before.into_values() {
            alert.resolved_at = Some(now);
            alert.severity = worst;
            self.history.push_front(alert.clone());
            let turn = Turn::Resolved;
            news.push(News { turn, alert });
        }
        self.history.truncate(self.history_max);
        news
    }

    /// The alerts that there are, the worst first.
    #[must_use]
    pub fn active(&self) -> Vec<Alert> {
        let mut active: Vec<_> = self
            .active
            .values()
            .map(|active| active.alert.clone())
            .collect();
        active.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.since));
        active
    }

    /// The last ones that are over, the newest first.
    #[must_use]
    pub fn history(&self) -> Vec<Alert> {
        self.history.iter().cloned().collect()
    }

    /// How many there were since the start.
    #[must_use]
    pub fn raised(&self) -> u64 {
        self.raised
    }
}

impl Active {
    fn new(id: u64, since: Timestamp, finding: Finding) -> Self {
        Self {
            worst: finding.severity,
            alert: Alert {
                id,
                kind: finding.kind,
                subject: finding.subject,
                severity: finding.severity,
                value: finding.value,
                threshold: finding.threshold,
                message: finding.message,
                since,
                resolved_at: None,
            },
        }
    }

    fn again(self, finding: Finding) -> (Self, Option<Turn>) {
        let turn = (self.alert.severity != finding.severity).then_some(Turn::Changed);
        let worst = self.worst.max(finding.severity);
        let again = Self::new(self.alert.id, self.alert.since, finding);
        (Self { worst, ..again }, turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slow(tool: &str, severity: Severity) -> Finding {
        Finding {
            kind: AlertKind::Latency,
            subject: tool.to_owned(),
            severity,
            value: 160.0,
            threshold: 150.0,
            message: format!("{tool} is slow"),
        }
    }

    fn turns(news: &[News]) -> Vec<(Turn, u64, Severity)> {
        let turn = |news: &News| (news.turn, news.alert.id, news.alert.severity);
        news.iter().map(turn).collect()
    }

    #[test]
    fn an_alert_is_raised_worsens_and_is_resolved() {
        let mut alerts = Alerts::new(10);
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        let raised = alerts.step(at(10), vec![slow("a", warning)]);
        assert_eq!(turns(&raised), [(Turn::Raised, 1, warning)]);
        // As it was: no news.
        assert_eq!(alerts.step(at(20), vec![slow("a", warning)]), []);
        let worse = alerts.step(at(30), vec![slow("a", critical), slow("b", warning)]);
        assert_eq!(
            turns(&worse),
            [(Turn::Changed, 1, critical), (Turn::Raised, 2, warning)]
        );
        let active: Vec<_> = alerts.active().iter().map(|a| (a.id, a.since)).collect();
        assert_eq!(active, [(1, at(10)), (2, at(30))]);
        let less = alerts.step(at(40), vec![slow("a", warning)]);
        assert_eq!(
            turns(&less),
            [(Turn::Changed, 1, warning), (Turn::Resolved, 2, warning)]
        );
        let over = alerts.step(at(50), Vec::new());
        // What is over was as bad as it was at its worst.
        assert_eq!(turns(&over), [(Turn::Resolved, 1, critical)]);
        assert_eq!(alerts.active(), []);
        let history = alerts.history();
        assert_eq!(history[0].since, at(10));
        assert_eq!(history[0].resolved_at, Some(at(50)));
        assert_eq!(history[1].id, 2);
        // The same thing again is another alert.
        let again = alerts.step(at(60), vec![slow("a", warning)]);
        assert_eq!(turns(&again), [(Turn::Raised, 3, warning)]);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut alerts = Alerts::new(3);
        for second in 0..10 {
            alerts.step(at(2 * second), vec![slow("a", Severity::Warning)]);
            alerts.step(at(2 * second + 1), Vec::new());
        }
        let ids: Vec<_> = alerts.history().iter().map(|alert| alert.id).collect();
        assert_eq!((ids, alerts.raised()), (vec![10, 9, 8], 10));
    }
}
