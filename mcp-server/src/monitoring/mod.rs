//! The server watches itself: what calls take, what the parts say, what is not as it should be.
//!
//! Nothing here is asked by a call for more than to count it. Decisions (windows, alerts, grades)
//! are plain functions of what was measured and when; [`Monitor`] has the clock and the locks.

mod alert;
mod calls;
mod config;
mod dependencies;
mod grade;
mod history;
mod latency;
mod metrics;
mod minutes;
mod monitor;
mod overall;
mod parts;
mod process;
mod recorder;
mod report;
mod status;
mod summary;
mod tier;
mod trend;
mod webhook;
mod window;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use alert::{
    Alert, AlertKind, Alerts, AlertsConfig, Finding, Measured, News, Severity, Turn, WebhookConfig,
    judge,
};
pub use config::MonitoringConfig;
pub use dependencies::{Dependency, DependencyKind, DependencyState, DependencyStatus};
pub use grade::{GradeStatus, Letter, letter};
pub use history::{HourStatus, LeakStatus, Rollup, SqliteRollups, hours};
pub use latency::{Counts, Outcome};
pub use metrics::Format;
pub use monitor::{Monitor, Sources};
pub use overall::{CountStatus, OverallStatus, SlotStatus};
pub use parts::{
    BatchStatus, BreakerStatus, CacheStatus, CacheTier, LaneStatus, Parts, PoolStatus,
    SessionsStatus, StreamsStatus, TagStatus,
};
pub use process::ProcessStatus;
pub use recorder::{Ended, OTHER, Recorder, Series, TOOLS_MAX, ToolCounter, Total};
pub use report::{Report, ReportFolder, ReportsConfig};
pub use status::{AlertsStatus, SlowStatus, Status, TargetStatus, ToolStatus, WindowStatus};
pub use summary::{CacheSummary, Summary, ToolSummary, Trouble};
pub use tier::Tier;
pub use trend::{Point, Slope, TrendStatus};
pub use window::Span;

use latency::share;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds, in whole microseconds: more digits would only be noise.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
