//! What the windows hold, as statuses and rules want it: plain functions.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Counts, GradeStatus, Series, TargetStatus, Tier, ToolStatus, WindowStatus, latency::share,
    millis,
};

/// The grade of the shortest window, of a minute, an hour and a day, that has enough calls to be
/// judged by.
pub(super) fn grade([minute, hour, day]: [&[Series]; 3], samples_min: u64) -> GradeStatus {
    let enough = samples_min.max(1);
    for (name, window) in [("minute", minute), ("hour", hour)] {
        let counts = own_counts(window);
        if counts.calls() >= enough {
            return GradeStatus::of(&counts, name);
        }
    }
    GradeStatus::of(&own_counts(day), "day")
}

/// The calls of each tool by each kind of client in a minute, which may be another span, an hour and
/// a day.
pub(super) fn tools(
    windows: [&[Series]; 3],
    minute: Duration,
    uptime: Duration,
) -> Vec<ToolStatus> {
    let spans = [
        minute,
        Duration::from_secs(3_600),
        Duration::from_secs(86_400),
    ];
    // A series may have begun between two of the windows: it is in those after it, too.
    let mut tools: BTreeMap<_, ToolStatus> = BTreeMap::new();
    for (at, window) in windows.into_iter().enumerate() {
        // A server that has just begun has no window of a day.
        let span = spans[at].min(uptime);
        for series in window {
            let key = (series.tool.name(), series.lane.index());
            let tool = tools.entry(key).or_insert_with(|| ToolStatus {
                tool: series.tool.name().to_owned(),
                lane: series.lane,
                tier: series.tool.tier(),
                minute: WindowStatus::default(),
                hour: WindowStatus::default(),
                day: WindowStatus::default(),
            });
            let status = WindowStatus::of(&series.seen, series.here.as_ref(), span);
            match at {
                0 => tool.minute = status,
                1 => tool.hour = status,
                _ => tool.day = status,
            }
        }
    }
    tools.into_values().collect()
}

/// The calls of each tool by whatever client, without the time that other servers took.
pub(super) fn by_tool(window: &[Series]) -> BTreeMap<&str, Counts> {
    let mut tools: BTreeMap<&str, Counts> = BTreeMap::new();
    for series in window {
        let counts = tools.entry(series.tool.name()).or_default();
        counts.add(series.own());
    }
    tools
}

fn own_counts(window: &[Series]) -> Counts {
    let mut all = Counts::default();
    for series in window {
        all.add(series.own());
    }
    all
}

/// How far the tools of each tier met their target.
pub(super) fn targets(hour: &[Series]) -> Vec<TargetStatus> {
    let mut tiers: BTreeMap<Tier, (u64, u64)> = BTreeMap::new();
    for series in hour {
        let tier = series.tool.tier();
        let (calls, met) = tiers.entry(tier).or_default();
        *calls += series.seen.calls();
        *met += series.seen.within(tier.target());
    }
    let status = |tier: Tier| {
        let (calls, met) = tiers.get(&tier).copied().unwrap_or_default();
        TargetStatus {
            tier,
            target_ms: millis(tier.target()),
            calls,
            met_share: match calls {
                0 => 1.0,
                _ => share(met, calls),
            },
            performance_target_met: met * 100 >= calls * 95,
        }
    };
    Tier::ALL.map(status).into()
}
