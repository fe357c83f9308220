//! What was measured minute by minute, and what that shows: slow drifts, and leaks.

mod leak;
mod rollup;
mod sqlite;

use std::collections::{BTreeMap, VecDeque};

pub use leak::LeakStatus;
pub use rollup::{HourStatus, Rollup, hours};
pub use sqlite::SqliteRollups;

use super::{
    AlertKind, Counts, Finding, Point, Recorder, Severity, Tier, TrendStatus, trend::DRIFT_MINUTES,
};

/// The minutes that are held in memory: a day.
const MINUTES_MAX: usize = 24 * 60;

/// The last minutes, and those of each tool. Reads no clock.
#[derive(Debug, Default)]
pub(super) struct History {
    minutes: VecDeque<Rollup>,
    tools: BTreeMap<String, Tool>,
}

#[derive(Debug)]
struct Tool {
    tier: Tier,
    /// All that was counted when it was looked at last.
    until: Box<Counts>,
    /// The means of the logarithms of what calls took.
    points: VecDeque<Point>,
}

impl History {
    /// The calls since the last time, tool by tool, without what other servers took. Notes those of
    /// tools with at least `samples_min` of them as a point of their trend.
    pub(super) fn advance(
        &mut self,
        minute: i64,
        recorder: &Recorder,
        samples_min: u64,
    ) -> BTreeMap<String, Counts> {
        let mut calls = BTreeMap::new();
        for (counter, all) in recorder.own_totals() {
            let name = counter.name();
            let tool = self.tools.entry(name.to_owned()).or_insert_with(|| Tool {
                tier: counter.tier(),
                until: Box::default(),
                points: VecDeque::new(),
            });
            let since = all.since(&tool.until);
            *tool.until = all;
            if since.calls() >= samples_min.max(1)
                && let Some(value) = since.mean_ln_ms()
            {
                tool.note(minute, value);
            }
            if since.calls() > 0 {
                calls.insert(name.to_owned(), since);
            }
        }
        calls
    }

    /// Notes a minute that has ended.
    pub(super) fn push(&mut self, rollup: Rollup) {
        if self.minutes.len() == MINUTES_MAX {
            self.minutes.pop_front();
        }
        self.minutes.push_back(rollup);
    }

    /// What is to be looked at for trends, which takes a while: a copy.
    pub(super) fn to_be_judged(&self) -> Judged {
        let tools = self.tools.iter().map(|(name, tool)| {
            let points: Vec<_> = tool.points.iter().copied().collect();
            (name.clone(), tool.tier, points)
        });
        Judged {
            tools: tools.collect(),
            minutes: self.minutes.iter().cloned().collect(),
        }
    }
}

impl Tool {
    fn note(&mut self, minute: i64, value: f64) {
        let minute = minute as f64;
        // The wall clock may have been set back.
        self.points.retain(|point| point.minute < minute);
        let oldest = minute - DRIFT_MINUTES as f64;
        while self.points.front().is_some_and(|p| p.minute <= oldest) {
            self.points.pop_front();
        }
        self.points.push_back(Point { minute, value });
    }
}

/// What is judged.
pub(super) struct Judged {
    tools: Vec<(String, Tier, Vec<Point>)>,
    minutes: Vec<Rollup>,
}

impl Judged {
    /// The trends of tools that were called often enough, and of what the process uses. Takes up to
    /// some ten milliseconds.
    pub(super) fn judge(&self) -> (Vec<TrendStatus>, Vec<LeakStatus>) {
        let trends = self
            .tools
            .iter()
            .filter_map(|(name, tier, points)| TrendStatus::of(name, *tier, points));
        (trends.collect(), leak::find(&self.minutes))
    }
}

/// Drifts as something that is not as it should be.
pub(super) fn drifts(trends: &[TrendStatus]) -> impl Iterator<Item = Finding> {
    trends
        .iter()
        .filter(|trend| trend.is_drift)
        .map(|trend| Finding {
            kind: AlertKind::Drift,
            subject: trend.tool.clone(),
            severity: Severity::Warning,
            value: trend.percent_per_hour,
            threshold: 0.0,
            message: format!(
                "{} takes {:.1} % longer with every hour, {:.2} ms now{}",
                trend.tool,
                trend.percent_per_hour,
                trend.typical_ms,
                trend
                    .target_missed_in_hours
                    .map_or_else(String::new, |hours| format!(
                        "; it misses its target in {hours:.0} hours"
                    )),
            ),
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        bench::random::Random,
        call::{Lane, Via},
        monitoring::{Ended, Outcome},
    };

    /// Log-normal latencies (σ 0.3) around 4 ms that grow by a percent an hour, 1,000 a minute,
    /// through the counters of a server: the drift is found by the end of the second hour.
    #[tokio::test(start_paused = true)]
    async fn a_drift_is_found_in_what_was_counted() {
        let recorder = Recorder::new(Duration::from_secs(60));
        let tool = recorder.tool("memory_get", Tier::Local);
        let mut random = Random::new(12);
        let mut history = History::default();
        let mut found_at = None;
        for minute in 0..120_u32 {
            for _ in 0..1_000 {
                // Twelve even numbers make nearly a normal one.
                let noise = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
                let ln = 4.0_f64.ln() + 0.01 * f64::from(minute) / 60.0 + 0.3 * noise;
                tool.record(Ended {
                    lane: Lane::Other,
                    via: Via::Tool,
                    took: Duration::from_secs_f64(ln.exp() / 1e3),
                    elsewhere: Duration::ZERO,
                    outcome: Outcome::Done,
                });
            }
            let calls = history.advance(i64::from(minute), &recorder, 20);
            assert_eq!(calls["memory_get"].calls(), 1_000);
            if minute % 10 == 9 {
                let (trends, _) = history.to_be_judged().judge();
                let is_drift = drifts(&trends).next().is_some();
                found_at = found_at.or_else(|| is_drift.then_some(minute));
            }
        }
        assert!(found_at.is_some());
    }

    #[test]
    fn a_tool_has_a_point_for_each_minute_of_two_hours() {
        let mut tool = Tool {
            tier: Tier::Local,
            until: Box::default(),
            points: VecDeque::new(),
        };
        for minute in 0..500 {
            tool.note(minute, 1.0);
        }
        assert_eq!(tool.points.len(), DRIFT_MINUTES);
        // A clock that was set back.
        tool.note(490, 1.0);
        assert!(tool.points.iter().is_sorted_by(|a, b| a.minute < b.minute));
    }

    #[test]
    fn the_minutes_in_memory_are_bounded() {
        let mut history = History::default();
        for minute in 0..2_000 {
            history.push(Rollup {
                minute,
                ..Rollup::default()
            });
        }
        assert_eq!(history.minutes.len(), MINUTES_MAX);
    }
}
