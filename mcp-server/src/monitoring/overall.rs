//! All calls together, whatever the tool and the client.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Counts, Series, Total, WindowStatus};

/// All calls together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct OverallStatus {
    /// Since the start.
    pub since_start: CountStatus,
    /// The last minute.
    pub minute: WindowStatus,
    /// The last hour.
    pub hour: WindowStatus,
    /// The last day.
    pub day: WindowStatus,
}

/// How many there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CountStatus {
    /// Calls.
    pub calls: u64,
    /// Those of them that failed by this server's fault, or that of what it depends on.
    pub errors: u64,
}

/// The calls of one slot of a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SlotStatus {
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// What was counted in it.
    #[serde(flatten)]
    pub counted: WindowStatus,
}

impl CountStatus {
    pub(super) fn of(totals: &[Total]) -> Self {
        let mut all = Self::default();
        for total in totals {
            all.calls += total.counts.calls();
            all.errors += total.counts.failed();
        }
        all
    }
}

/// All calls of the three windows, the shortest of which covers `minute`, and of the `uptime`.
pub(super) fn of(
    [short, middle, long]: [&[Series]; 3],
    totals: &[Total],
    minute: Duration,
    uptime: Duration,
) -> OverallStatus {
    // A server that has just begun has no window of a day.
    let together = |window: &[Series], span: Duration| together(window, span.min(uptime));
    OverallStatus {
        since_start: CountStatus::of(totals),
        minute: together(short, minute),
        hour: together(middle, Duration::from_secs(3_600)),
        day: together(long, Duration::from_secs(86_400)),
    }
}

/// All that is in a window of `span`.
fn together(window: &[Series], span: Duration) -> WindowStatus {
    let mut all = Counts::default();
    for series in window {
        all.add(&series.seen);
    }
    WindowStatus::of(&all, None, span)
}

/// The slots of a window, the oldest first; `slots` with when each began, before `now`, and how long
/// it has lasted.
pub(super) fn slots(now: Timestamp, slots: &[(Duration, Duration, Counts)]) -> Vec<SlotStatus> {
    let slot = |(ago, lasted, counts): &(Duration, Duration, Counts)| SlotStatus {
        at: now.as_millisecond() - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX),
        counted: WindowStatus::of(counts, None, *lasted),
    };
    slots.iter().map(slot).collect()
}
