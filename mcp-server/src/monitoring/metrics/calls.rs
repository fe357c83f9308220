//! Calls: how many, how long, how many failed.

use std::{fmt, time::Duration};

use super::families::{Families, Histogram, Labels};
use crate::{
    call::Via,
    monitoring::{Counts, Total},
};

/// The bounds that are told, in microseconds. Each is one of those that are counted by.
const BOUNDS_MICROS: [u64; 18] = [
    10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 150_000, 200_000,
    500_000, 1_000_000, 5_000_000, 30_000_000,
];

pub(super) fn encode(totals: &[Total], families: &mut Families<'_, '_>) -> fmt::Result {
    let methods: Vec<_> = totals.iter().map(method).collect();
    let rows = || totals.iter().zip(&methods);
    families.histogram(
        "mcp_server_operation_duration_seconds",
        "How long calls of tools took, as their clients saw it",
        rows().map(|(total, method)| (labels(total, method), histogram(&total.counts))),
    )?;
    families.counter(
        "mcp_server_operation_errors",
        "Calls that failed by the fault of the server or of what it depends on",
        rows().map(|(total, method)| (labels(total, method), total.counts.failed)),
    )?;
    families.counter(
        "mcp_server_operation_refusals",
        "Calls that were answered with an error that is the caller's",
        rows().map(|(total, method)| (labels(total, method), total.counts.refused)),
    )
}

fn labels<'a>(total: &'a Total, method: &'a str) -> Labels<'a> {
    vec![
        ("method", method),
        ("tool", total.tool.name()),
        ("client_type", total.lane.name()),
    ]
}

fn method(total: &Total) -> String {
    match total.via {
        Via::Tool => "tools/call".to_owned(),
        Via::Method => total.tool.name().replacen('_', "/", 1),
    }
}

fn histogram(counts: &Counts) -> Histogram {
    let within = |micros: u64| counts.within(Duration::from_micros(micros));
    Histogram {
        within: BOUNDS_MICROS
            .map(|micros| (Duration::from_micros(micros).as_secs_f64(), within(micros)))
            .into(),
        sum: Duration::from_nanos(counts.sum_nanos).as_secs_f64(),
        count: counts.calls(),
    }
}

#[cfg(test)]
mod tests {
    use super::BOUNDS_MICROS;
    use crate::monitoring::latency::BOUNDS_NANOS;

    #[test]
    fn what_is_told_is_counted_exactly() {
        for micros in BOUNDS_MICROS {
            assert!(BOUNDS_NANOS.contains(&(micros * 1_000)), "{micros}");
        }
    }
}
