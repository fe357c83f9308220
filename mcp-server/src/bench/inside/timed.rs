//! Samples of one section, as they are taken.

use std::{collections::BTreeMap, time::Duration};

use super::{OperationReport, SectionReport};
use crate::bench::{
    latency::Latencies,
    measure::{millis, share},
};

/// Examples of what was wrong that are kept.
const EXAMPLES_MAX: usize = 5;

/// Samples of one section.
#[derive(Debug, Default)]
pub(super) struct Samples {
    operations: BTreeMap<&'static str, Operation>,
    wrong: Vec<String>,
    pub(super) cut_short: bool,
}

#[derive(Debug, Default)]
struct Operation {
    latencies: Latencies,
    errors: u64,
    cached: u64,
}

impl Samples {
    pub(super) fn answered(&mut self, operation: &'static str, took: Duration, cached: bool) {
        let found = self.operations.entry(operation).or_default();
        found.latencies.record(took);
        found.cached += u64::from(cached);
    }

    pub(super) fn failed(&mut self, operation: &'static str, error: &dyn std::fmt::Display) {
        self.operations.entry(operation).or_default().errors += 1;
        self.wrong(format!("{operation}: {error}"));
    }

    /// Notes what is wrong with an answer.
    pub(super) fn wrong(&mut self, example: String) {
        if self.wrong.len() < EXAMPLES_MAX {
            self.wrong.push(example);
        }
    }

    /// Adds those of another worker of the same section.
    pub(super) fn absorb(&mut self, other: Self) {
        for (name, operation) in other.operations {
            let own = self.operations.entry(name).or_default();
            own.latencies.merge(&operation.latencies);
            own.errors += operation.errors;
            own.cached += operation.cached;
        }
        for example in other.wrong {
            self.wrong(example);
        }
        self.cut_short |= other.cut_short;
    }

    pub(super) fn report(self, section: &str, target: Duration, took: Duration) -> SectionReport {
        let operations: Vec<_> = self
            .operations
            .into_iter()
            .map(|(name, operation)| operation.report(name))
            .collect();
        let samples: u64 = operations.iter().map(|operation| operation.samples).sum();
        let target_p95_ms = millis(target);
        let is_good =
            |operation: &OperationReport| operation.errors == 0 && operation.p95_ms < target_p95_ms;
        SectionReport {
            section: section.to_owned(),
            target_p95_ms,
            passed: samples > 0 && self.wrong.is_empty() && operations.iter().all(is_good),
            operations_per_second: samples as f64 / took.as_secs_f64().max(1e-9),
            operations,
            wrong: self.wrong,
            cut_short: self.cut_short,
        }
    }
}

impl Operation {
    fn report(self, name: &str) -> OperationReport {
        let percentile = |percent| millis(self.latencies.percentile(percent));
        let samples = self.latencies.len();
        OperationReport {
            operation: name.to_owned(),
            samples,
            errors: self.errors,
            p50_ms: percentile(50.0),
            p95_ms: percentile(95.0),
            p99_ms: percentile(99.0),
            max_ms: percentile(100.0),
            cached: share(self.cached, samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_passes_by_its_target_and_without_faults() {
        let report = |p95_ms: u64, wrong: bool| {
            let mut samples = Samples::default();
            for _ in 0..20 {
                samples.answered("get", Duration::from_millis(p95_ms), true);
            }
            if wrong {
                samples.wrong("another text".to_owned());
            }
            samples.report("store", Duration::from_millis(50), Duration::from_secs(2))
        };
        let good = report(10, false);
        assert!(good.passed, "{good:?}");
        assert_eq!(
            (good.operations_per_second, good.operations[0].cached),
            (10.0, 1.0)
        );
        assert!(!report(60, false).passed);
        assert!(!report(10, true).passed);
        let none = Samples::default().report("store", Duration::MAX, Duration::ZERO);
        assert!(!none.passed, "what was not measured was not met");
    }
}
