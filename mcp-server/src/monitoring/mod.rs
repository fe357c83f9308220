//! The server watches itself: what calls take, what the parts say, what is not as it should be.
//!
//! Nothing here is asked by a call for more than to count it. Decisions (windows, alerts, grades)
//! are plain functions of what was measured and when; [`Monitor`] has the clock and the locks.

mod alert;
mod config;
mod dependencies;
mod grade;
mod latency;
mod monitor;
mod overall;
mod parts;
mod process;
mod recorder;
mod status;
mod tier;
mod trend;
mod window;

use std::time::Duration;

pub use alert::{
    Alert, AlertKind, Alerts, AlertsConfig, Finding, Measured, News, Severity, Turn, WebhookConfig,
    judge,
};
pub use config::MonitoringConfig;
pub use dependencies::DependencyStatus;
pub use grade::{GradeStatus, Letter, letter};
pub use latency::{Counts, Outcome};
pub use monitor::{Monitor, Sources};
pub use overall::{CountStatus, OverallStatus, SlotStatus};
pub use parts::{
    BatchStatus, BreakerStatus, CacheStatus, CacheTier, Dependency, DependencyKind,
    DependencyState, LaneStatus, Parts, PoolStatus, SessionsStatus, StreamsStatus, TagStatus,
};
pub use process::ProcessStatus;
pub use recorder::{Ended, OTHER, Recorder, Series, TOOLS_MAX, ToolCounter, Total};
pub use status::{AlertsStatus, SlowStatus, Status, TargetStatus, ToolStatus, WindowStatus};
pub use tier::Tier;
pub use trend::{Point, Slope, TrendStatus};
pub use window::Span;

use latency::share;

/// Milliseconds, in whole microseconds: more digits would only be noise.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
