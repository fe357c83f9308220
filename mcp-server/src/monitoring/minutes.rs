//! What is done once a minute: it is added up, kept, summed up in the log, and now and then looked at
//! for trends and written into a report.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Counts, Finding, LeakStatus, Monitor, ProcessStatus, Report, ReportFolder, Rollup, TrendStatus,
    history::{History, drifts, hours},
    lock,
};
use crate::ports::RollupStore;

/// Minutes between two looks for trends.
const JUDGED_EVERY: i64 = 10;
/// The day that a report tells of, in minutes.
const REPORT_MINUTES: i64 = 24 * 60;
/// Tools that the summary of a minute names.
const SUMMARY_TOOLS: usize = 5;

/// What is kept of the minutes.
pub(super) struct Minutes {
    history: Mutex<History>,
    judged: Mutex<Judgement>,
    store: Option<Arc<dyn RollupStore>>,
    reports: Option<ReportFolder>,
    keep_minutes: i64,
    samples_min: u64,
}

#[derive(Debug, Clone, Default)]
struct Judgement {
    trends: Vec<TrendStatus>,
    leaks: Vec<LeakStatus>,
}

impl fmt::Debug for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minutes").finish_non_exhaustive()
    }
}

impl Minutes {
    pub(super) fn new(
        store: Option<Arc<dyn RollupStore>>,
        reports: Option<ReportFolder>,
        keep_days: u16,
        samples_min: u64,
    ) -> Self {
        Self {
            history: Mutex::default(),
            judged: Mutex::default(),
            store,
            reports,
            keep_minutes: i64::from(keep_days) * 24 * 60,
            samples_min,
        }
    }

    /// The trends, as they were judged last.
    pub(super) fn trends(&self) -> Vec<TrendStatus> {
        lock(&self.judged).trends.clone()
    }

    /// What grows in the process, as it was judged last.
    pub(super) fn leaks(&self) -> Vec<LeakStatus> {
        lock(&self.judged).leaks.clone()
    }

    /// What is to be said of the trends.
    pub(super) fn findings(&self) -> Vec<Finding> {
        drifts(&lock(&self.judged).trends).collect()
    }

    /// Where reports go, unless there are none.
    pub(super) fn reports(&self) -> Option<&ReportFolder> {
        self.reports.as_ref()
    }
}

impl Monitor {
    /// Adds up the minute that has just ended, and does what is due.
    pub async fn minute(&self) {
        let now = Timestamp::now();
        let minute = now.as_second().div_euclid(60);
        let minutes = self.minutes();
        let sessions = self.parts().sessions.open;
        let process = ProcessStatus::now();
        let rollup = {
            let mut history = lock(&minutes.history);
            let tools = history.advance(minute, self.recorder(), minutes.samples_min);
            let rollup = Rollup::of(minute, &tools, &process, sessions);
            history.push(rollup.clone());
            summarise(&rollup, &tools);
            rollup
        };
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || this.keep(&rollup, now)).await;
        if let Err(error) = done {
            tracing::error!(%error, "the numbers of a minute are lost");
        }
    }

    /// Blocks on the file system.
    fn keep(&self, rollup: &Rollup, now: Timestamp) {
        let minutes = self.minutes();
        if let Some(store) = &minutes.store {
            let mut kept = store.put(rollup);
            if rollup.minute % 60 == 0 {
                kept =
                    kept.and_then(|()| store.forget_before(rollup.minute - minutes.keep_minutes));
            }
            if let Err(reason) = kept {
                tracing::warn!("the numbers of a minute are not kept: {reason}");
            }
        }
        if rollup.minute % JUDGED_EVERY == 0 {
            let judged = lock(&minutes.history).to_be_judged();
            let (trends, leaks) = judged.judge();
            for leak in leaks.iter().filter(|leak| leak.is_leak) {
                let LeakStatus { what, per_hour, .. } = leak;
                tracing::warn!(what, per_hour, "the process holds more and more");
            }
            *lock(&minutes.judged) = Judgement { trends, leaks };
        }
        if let Some(folder) = &minutes.reports
            && folder.is_due(now)
            && let Err(error) = folder.write(&self.report(now))
        {
            tracing::warn!(%error, "the report is not written");
        }
    }

    /// A report of the last day. Blocks on the file system.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> Report {
        let from = now.as_second().div_euclid(60) - REPORT_MINUTES;
        let store = self.minutes().store.as_ref();
        let kept = store.map_or_else(|| Ok(Vec::new()), |store| store.since(from));
        let kept = kept.unwrap_or_else(|reason| {
            tracing::warn!("the report tells of no earlier hours: {reason}");
            Vec::new()
        });
        let mut status = self.status();
        // A report is for everybody who may look.
        status.clients.clear();
        status.forget_tags();
        Report {
            at: now,
            hours: hours(&kept),
            status,
        }
    }
}

/// What was asked for in the minute, as one line; nothing where there was nothing.
fn summarise(rollup: &Rollup, tools: &BTreeMap<String, Counts>) {
    if rollup.calls == 0 {
        return;
    }
    let mut busiest: Vec<_> = tools.iter().collect();
    busiest.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.calls()));
    let pattern: Vec<_> = busiest
        .iter()
        .take(SUMMARY_TOOLS)
        .map(|(tool, counts)| format!("{tool} {}", counts.calls()))
        .collect();
    tracing::info!(
        calls = rollup.calls,
        errors = rollup.errors,
        p50_ms = rollup.p50_ms,
        p95_ms = rollup.p95_ms,
        tools = tools.len(),
        "the last minute: {}",
        pattern.join(", ")
    );
}

/// How long a minute is.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
