//! One minute in a row of numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::monitoring::{Counts, ProcessStatus, millis};

/// One minute. Times are those spent in this server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rollup {
    /// Minutes since 1970.
    pub minute: i64,
    /// Calls.
    pub calls: u64,
    /// Those that failed by the server's fault.
    pub errors: u64,
    /// The average.
    pub mean_ms: f64,
    /// What half of them did not exceed.
    pub p50_ms: f64,
    /// What 95 of 100 did not exceed.
    pub p95_ms: f64,
    /// What 99 of 100 did not exceed.
    pub p99_ms: f64,
    /// Memory of the process at the end.
    pub resident_bytes: Option<u64>,
    /// Open files at the end.
    pub open_files: Option<u64>,
    /// Tasks at the end.
    pub tasks: Option<u64>,
    /// Sessions at the end.
    pub sessions: u64,
}

impl Rollup {
    /// Of the calls of one minute, tool by tool, and what the process used at its end.
    #[must_use]
    pub fn of(
        minute: i64,
        tools: &BTreeMap<String, Counts>,
        process: &ProcessStatus,
        sessions: u64,
    ) -> Self {
        let mut all = Counts::default();
        for counts in tools.values() {
            all.add(counts);
        }
        Self {
            minute,
            calls: all.calls(),
            errors: all.failed(),
            mean_ms: millis(all.mean()),
            p50_ms: millis(all.quantile(0.5)),
            p95_ms: millis(all.quantile(0.95)),
            p99_ms: millis(all.quantile(0.99)),
            resident_bytes: process.resident_bytes,
            open_files: process.open_files,
            tasks: process.tasks,
            sessions,
        }
    }
}

/// Several minutes together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HourStatus {
    /// When the hour began, as minutes since 1970.
    pub minute: i64,
    /// Calls.
    pub calls: u64,
    /// Those that failed by the server's fault.
    pub errors: u64,
    /// The average.
    pub mean_ms: f64,
    /// The worst minute's 95 of 100.
    pub p95_worst_ms: f64,
    /// The most memory of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes_max: Option<u64>,
}

/// The hours that `rollups`, which are in the order of time, are of.
#[must_use]
pub fn hours(rollups: &[Rollup]) -> Vec<HourStatus> {
    let hour = |rollup: &Rollup| rollup.minute.div_euclid(60);
    let together = |minutes: &[Rollup]| {
        let calls: u64 = minutes.iter().map(|minute| minute.calls).sum();
        let took: f64 = minutes.iter().map(|m| m.mean_ms * m.calls as f64).sum();
        HourStatus {
            minute: hour(&minutes[0]) * 60,
            calls,
            errors: minutes.iter().map(|minute| minute.errors).sum(),
            mean_ms: match calls {
                0 => 0.0,
                _ => (took / calls as f64 * 1e3).round() / 1e3,
            },
            p95_worst_ms: minutes.iter().map(|m| m.p95_ms).fold(0.0, f64::max),
            resident_bytes_max: minutes.iter().filter_map(|m| m.resident_bytes).max(),
        }
    };
    rollups
        .chunk_by(|before, next| hour(before) == hour(next))
        .map(together)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_made_of_their_minutes() {
        let minute = |minute, calls, mean_ms, p95_ms| Rollup {
            minute,
            calls,
            mean_ms,
            p95_ms,
            errors: 1,
            ..Rollup::default()
        };
        let minutes = [
            minute(60, 10, 2.0, 5.0),
            minute(119, 30, 4.0, 3.0),
            minute(120, 0, 0.0, 0.0),
        ];
        let hours = hours(&minutes);
        assert_eq!(hours.len(), 2);
        assert_eq!(
            (hours[0].minute, hours[0].calls, hours[0].errors),
            (60, 40, 2)
        );
        assert_eq!((hours[0].mean_ms, hours[0].p95_worst_ms), (3.5, 5.0));
        assert_eq!(
            (hours[1].minute, hours[1].calls, hours[1].mean_ms),
            (120, 0, 0.0)
        );
    }
}
