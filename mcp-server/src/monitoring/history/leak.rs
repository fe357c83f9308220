//! Whether the process holds more and more: a plain function of its minutes.

use schemars::JsonSchema;
use serde::Serialize;

use super::Rollup;
use crate::monitoring::{Point, Slope};

/// The first minutes fill caches and pools, and say nothing.
const WARM_UP_MINUTES: usize = 30;
/// As many points are looked at, whatever time they cover.
const POINTS_MAX: usize = 240;

/// How something that the process holds grows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LeakStatus {
    /// What: `resident_bytes`, `open_files`, `tasks` or `sessions`.
    pub what: &'static str,
    /// How much more of it there is after an hour.
    pub per_hour: f64,
    /// How many standard deviations from chance that is.
    pub significance: f64,
    /// Whether it grows, by more than is worth a word, and not by chance.
    pub is_leak: bool,
    /// The minutes that this is made of.
    pub minutes: u64,
}

/// What is looked at, and how much more of it an hour is worth a word.
type Column = (&'static str, fn(&Rollup) -> Option<u64>, f64);

const COLUMNS: [Column; 4] = [
    ("resident_bytes", |r| r.resident_bytes, 1_048_576.0),
    ("open_files", |r| r.open_files, 4.0),
    ("tasks", |r| r.tasks, 4.0),
    ("sessions", |r| Some(r.sessions), 4.0),
];

/// What grows in `minutes`, which are in the order of time and begin with the process. Nothing is
/// said of what is known for less than an hour.
pub(super) fn find(minutes: &[Rollup]) -> Vec<LeakStatus> {
    let warm = minutes.get(WARM_UP_MINUTES..).unwrap_or_default();
    let step = warm.len().div_ceil(POINTS_MAX).max(1);
    let of = |(what, value, worth): &Column| {
        let known = warm.iter().step_by(step);
        let points: Vec<_> = known
            .filter_map(|minute| {
                let value = value(minute)? as f64;
                let minute = minute.minute as f64;
                Some(Point { minute, value })
            })
            .collect();
        let slope = Slope::of(&points)?;
        Some(LeakStatus {
            what,
            per_hour: slope.per_hour,
            significance: slope.z,
            is_leak: slope.is_growth() && slope.per_hour >= *worth,
            minutes: warm.len() as u64,
        })
    };
    COLUMNS.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many minutes of a process that fills a cache in its first half hour.
    fn minutes(count: i64, leak: fn(i64) -> u64) -> Vec<Rollup> {
        let minute = |minute: i64| Rollup {
            minute,
            resident_bytes: Some(
                (50 << 20) + (u64::try_from(minute.min(30)).unwrap() << 20) + leak(minute),
            ),
            // Up and down.
            sessions: u64::try_from(minute % 7).unwrap(),
            ..Rollup::default()
        };
        (0..count).map(minute).collect()
    }

    fn leaks(minutes: &[Rollup]) -> Vec<&'static str> {
        let found = find(minutes).into_iter().filter(|status| status.is_leak);
        found.map(|status| status.what).collect()
    }

    #[test]
    fn what_grows_for_ever_is_found_and_what_fills_is_not() {
        assert_eq!(leaks(&minutes(600, |_| 0)), [""; 0]);
        // 6 MiB an hour.
        let leaking = minutes(600, |minute| u64::try_from(minute).unwrap() * 104_858);
        assert_eq!(leaks(&leaking), ["resident_bytes"]);
        let memory = &find(&leaking)[0];
        assert!(
            (memory.per_hour / 6_291_456.0 - 1.0).abs() < 0.01,
            "{memory:?}"
        );
        // Half a MiB an hour is not worth a word.
        let little = minutes(600, |minute| u64::try_from(minute).unwrap() * 8_738);
        assert_eq!(leaks(&little), [""; 0]);
        assert_eq!(find(&minutes(80, |_| 0)), []);
    }
}
