//! What is worth an alert, of what was measured: a plain function.

use std::{collections::BTreeMap, time::Duration};

use super::{AlertKind, AlertsConfig, Severity};
use crate::monitoring::{
    Counts, Dependency, DependencyKind, DependencyState, PoolStatus, StreamsStatus, millis,
};

/// What was measured at one moment.
#[derive(Debug, Default)]
pub struct Measured<'a> {
    /// The calls of each tool in the window, without the time that other servers took.
    pub tools: BTreeMap<&'a str, Counts>,
    /// The pools.
    pub pools: &'a [PoolStatus],
    /// The streams.
    pub streams: StreamsStatus,
    /// Memory of the process, if it is known.
    pub resident_bytes: Option<u64>,
    /// The dependencies.
    pub dependencies: Vec<&'a Dependency>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: AlertKind,
    /// What it is about: a tool, a pool, a dependency, or `server`.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was measured, in the unit of the kind.
    pub value: f64,
    /// What it should stay below.
    pub threshold: f64,
    /// The same in a sentence.
    pub message: String,
}

/// Everything that is not as it should be.
#[must_use]
pub fn judge(config: &AlertsConfig, measured: &Measured<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (tool, counts) in &measured.tools {
        if counts.calls() >= config.samples_min.max(1) {
            found.extend(latency(config, tool, counts));
            found.extend(p95(config, tool, counts));
            found.extend(errors(config, tool, counts));
        }
    }
    found.extend(measured.pools.iter().filter_map(|at| pool(config, at)));
    found.extend(streams(config, &measured.streams));
    found.extend(memory(config, measured.resident_bytes));
    found.extend(measured.dependencies.iter().filter_map(|at| down(at)));
    found
}

fn latency(config: &AlertsConfig, tool: &str, counts: &Counts) -> Option<Finding> {
    let mean = counts.mean();
    let (severity, threshold) = match mean {
        _ if mean >= config.latency_critical => (Severity::Critical, config.latency_critical),
        _ if mean >= config.latency_warning => (Severity::Warning, config.latency_warning),
        _ => return None,
    };
    Some(Finding {
        kind: AlertKind::Latency,
        subject: tool.to_owned(),
        severity,
        value: millis(mean),
        threshold: millis(threshold),
        message: format!(
            "{tool} takes {:.0} ms on average ({} calls); it should stay below {:.0} ms",
            millis(mean),
            counts.calls(),
            millis(threshold)
        ),
    })
}

fn p95(config: &AlertsConfig, tool: &str, counts: &Counts) -> Option<Finding> {
    let limit = config.latency_p95;
    // In whole calls, so that the limit is met exactly where it is a bound of the histogram.
    let slow = counts.calls() - counts.within(limit);
    if slow * 20 <= counts.calls() {
        return None;
    }
    let found: Duration = counts.quantile(0.95);
    Some(Finding {
        kind: AlertKind::LatencyP95,
        subject: tool.to_owned(),
        severity: Severity::Warning,
        value: millis(found),
        threshold: millis(limit),
        message: format!(
            "{slow} of {} calls of {tool} took more than {:.0} ms; at most one of twenty should",
            counts.calls(),
            millis(limit)
        ),
    })
}

fn errors(config: &AlertsConfig, tool: &str, counts: &Counts) -> Option<Finding> {
    let share = counts.failed_share();
    let (severity, threshold) = match share {
        _ if share >= config.errors_critical => (Severity::Critical, config.errors_critical),
        _ if share >= config.errors_warning => (Severity::Warning, config.errors_warning),
        _ => return None,
    };
    Some(Finding {
        kind: AlertKind::Errors,
        subject: tool.to_owned(),
        severity,
        value: share,
        threshold,
        message: format!(
            "{:.1} % of {} calls of {tool} failed; it should stay below {:.0} %",
            share * 100.0,
            counts.calls(),
            threshold * 100.0
        ),
    })
}

fn pool(config: &AlertsConfig, pool: &PoolStatus) -> Option<Finding> {
    let is_exhausted = pool.use_share >= 1.0 && pool.waiting > 0;
    if pool.use_share < config.pool_share {
        return None;
    }
    Some(Finding {
        kind: AlertKind::Pool,
        subject: pool.name.clone(),
        severity: match is_exhausted {
            true => Severity::Critical,
            false => Severity::Warning,
        },
        value: pool.use_share,
        threshold: config.pool_share,
        message: format!(
            "{} of {} connections of {} are lent, and {} callers wait",
            pool.in_use, pool.connections_max, pool.name, pool.waiting
        ),
    })
}

fn streams(config: &AlertsConfig, streams: &StreamsStatus) -> Option<Finding> {
    let share = crate::monitoring::share(streams.held_bytes, streams.held_bytes_max);
    if share < config.stream_share {
        return None;
    }
    let critical = config.stream_share + (1.0 - config.stream_share) / 2.0;
    Some(Finding {
        kind: AlertKind::Streams,
        subject: "server".to_owned(),
        severity: match share >= critical {
            true => Severity::Critical,
            false => Severity::Warning,
        },
        value: share,
        threshold: config.stream_share,
        message: format!(
            "{} of {} bytes for streams are held: clients do not read what they asked for",
            streams.held_bytes, streams.held_bytes_max
        ),
    })
}

fn memory(config: &AlertsConfig, resident_bytes: Option<u64>) -> Option<Finding> {
    let (limit, held) = (config.memory_bytes, resident_bytes?);
    if limit == 0 || held < limit {
        return None;
    }
    Some(Finding {
        kind: AlertKind::Memory,
        subject: "server".to_owned(),
        severity: match held >= limit.saturating_mul(2) {
            true => Severity::Critical,
            false => Severity::Warning,
        },
        value: held as f64,
        threshold: limit as f64,
        message: format!("the process holds {} MiB of memory", held >> 20),
    })
}

/// A connector may be down without any harm to the rest.
fn down(dependency: &Dependency) -> Option<Finding> {
    let severity = match (dependency.state, dependency.kind) {
        (DependencyState::Up, _) => return None,
        (DependencyState::Down, DependencyKind::Connector) | (DependencyState::Degraded, _) => {
            Severity::Warning
        }
        (DependencyState::Down, _) => Severity::Critical,
    };
    let Dependency {
        name,
        state,
        detail,
        ..
    } = dependency;
    Some(Finding {
        kind: AlertKind::Dependency,
        subject: name.clone(),
        severity,
        value: 0.0,
        threshold: 1.0,
        message: format!("{name} is {}: {detail}", state.name()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitoring::{Outcome, latency::Live};

    fn calls(count: u64, took_millis: u64, failed: u64) -> Counts {
        let live = Live::new();
        for number in 0..count {
            let outcome = match number < failed {
                true => Outcome::Failed,
                false => Outcome::Done,
            };
            live.record(Duration::from_millis(took_millis), outcome);
        }
        live.take()
    }

    fn found(counts: Counts) -> Vec<(AlertKind, Severity)> {
        let measured = Measured {
            tools: [("memory_get", counts)].into(),
            ..Measured::default()
        };
        let findings = judge(&AlertsConfig::default(), &measured);
        findings.iter().map(|f| (f.kind, f.severity)).collect()
    }

    #[test]
    fn latency_and_errors_have_two_thresholds_each() {
        use AlertKind::{Errors, Latency, LatencyP95};
        use Severity::{Critical, Warning};
        let check = |counts, expect: &[(AlertKind, Severity)]| assert_eq!(found(counts), expect);
        check(calls(100, 50, 0), &[]);
        check(calls(100, 51, 0), &[(LatencyP95, Warning)]);
        check(calls(100, 149, 0), &[(LatencyP95, Warning)]);
        check(
            calls(100, 150, 0),
            &[(Latency, Warning), (LatencyP95, Warning)],
        );
        check(
            calls(100, 199, 0),
            &[(Latency, Warning), (LatencyP95, Warning)],
        );
        check(
            calls(100, 200, 0),
            &[(Latency, Critical), (LatencyP95, Warning)],
        );
        check(calls(100, 1, 4), &[]);
        check(calls(100, 1, 5), &[(Errors, Warning)]);
        check(calls(100, 1, 9), &[(Errors, Warning)]);
        check(calls(100, 1, 10), &[(Errors, Critical)]);
        // One call of twenty may be slow.
        let mut mixed = calls(95, 1, 0);
        mixed.add(&calls(5, 60, 0));
        check(mixed.clone(), &[]);
        mixed.add(&calls(1, 60, 0));
        check(mixed, &[(LatencyP95, Warning)]);
    }

    #[test]
    fn a_few_calls_are_not_judged() {
        assert_eq!(found(calls(19, 900, 19)), []);
        assert_eq!(found(calls(20, 900, 20)).len(), 3);
    }

    #[test]
    fn pools_streams_memory_and_dependencies_are_looked_at() {
        let config = AlertsConfig::default();
        let pool = |in_use: u64, waiting| PoolStatus {
            name: "postgres".to_owned(),
            connections_max: 10,
            in_use,
            idle: 0,
            waiting,
            use_share: in_use as f64 / 10.0,
            checkouts: 0,
            reuse_share: 0.0,
            opened: 0,
            connect_failures: 0,
            timeouts: 0,
            overloaded: 0,
            wait_p95_ms: 0.0,
        };
        let pools = |in_use, waiting| {
            let pools = [pool(in_use, waiting)];
            let measured = Measured {
                pools: &pools,
                ..Measured::default()
            };
            judge(&config, &measured).first().map(|f| f.severity)
        };
        assert_eq!(pools(8, 5), None);
        assert_eq!(pools(9, 0), Some(Severity::Warning));
        assert_eq!(pools(10, 0), Some(Severity::Warning));
        assert_eq!(pools(10, 1), Some(Severity::Critical));
        let held = |held_bytes| {
            let streams = StreamsStatus {
                held_bytes,
                held_bytes_max: 1_000,
                ..StreamsStatus::default()
            };
            let found = super::streams(&config, &streams);
            found.map(|finding| finding.severity)
        };
        assert_eq!((held(899), held(900)), (None, Some(Severity::Warning)));
        assert_eq!(held(950), Some(Severity::Critical));
        assert_eq!(streams(&config, &StreamsStatus::default()), None);
        let memory = |bytes| super::memory(&config, bytes).map(|finding| finding.severity);
        assert_eq!((memory(None), memory(Some((1 << 30) - 1))), (None, None));
        assert_eq!(memory(Some(1 << 30)), Some(Severity::Warning));
        assert_eq!(memory(Some(2 << 30)), Some(Severity::Critical));
        let of = |kind, state| {
            let dependency = Dependency {
                name: "it".to_owned(),
                kind,
                state,
                detail: "gone".to_owned(),
            };
            down(&dependency).map(|finding| finding.severity)
        };
        use DependencyKind::{Connector, Redis};
        assert_eq!(of(Redis, DependencyState::Up), None);
        assert_eq!(of(Redis, DependencyState::Down), Some(Severity::Critical));
        assert_eq!(
            of(Redis, DependencyState::Degraded),
            Some(Severity::Warning)
        );
        assert_eq!(
            of(Connector, DependencyState::Down),
            Some(Severity::Warning)
        );
    }
}
