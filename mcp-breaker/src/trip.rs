//! When a closed breaker opens: a function of what the windows hold.

use serde::Serialize;

/// What a window holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Results in the window.
    pub calls: u32,
    /// Failed ones among them.
    pub failures: u32,
    /// Slow ones among them, failed or not.
    pub slow: u32,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// This many failures came in a row.
    ConsecutiveFailures {
        /// The length of the run.
        failures: u32,
    },
    /// The share of failures in the window reached its threshold.
    FailureRate {
        /// Failures in the window.
        failures: u32,
        /// Results in the window.
        calls: u32,
    },
    /// The share of slow calls in the window reached its threshold.
    SlowRate {
        /// Slow calls in the window.
        slow: u32,
        /// Results in the window.
        calls: u32,
    },
    /// The reopen delay passed.
    DelayElapsed,
    /// A probe failed, was slow, or was told that the dependency is overloaded.
    ProbeFailed,
    /// Enough probes succeeded.
    ProbesSucceeded {
        /// How many.
        successes: u16,
    },
    /// An operator asked for it.
    Forced,
}

/// The parsed thresholds of [`Config`](crate::Config).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub(crate) consecutive_failures: Option<u32>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) calls_min: u32,
}

impl Thresholds {
    /// Whether a window is looked at at all.
    pub(crate) fn uses_rates(&self) -> bool {
        self.failure_rate.is_some() || self.slow_rate.is_some()
    }

    pub(crate) fn by_run(&self, failures: u32) -> Option<Cause> {
        let limit = self.consecutive_failures?;
        (failures >= limit).then_some(Cause::ConsecutiveFailures { failures })
    }

    pub(crate) fn by_rate(&self, tally: Tally) -> Option<Cause> {
        let Tally {
            calls,
            failures,
            slow,
        } = tally;
        if calls < self.calls_min {
            return None;
        }
        if reached(failures, calls, self.failure_rate) {
            return Some(Cause::FailureRate { failures, calls });
        }
        reached(slow, calls, self.slow_rate).then_some(Cause::SlowRate { slow, calls })
    }
}

/// Division is correctly rounded, so 3 of 30 reaches a threshold written `0.1`.
fn reached(part: u32, whole: u32, threshold: Option<f64>) -> bool {
    threshold.is_some_and(|rate| whole > 0 && f64::from(part) / f64::from(whole) >= rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds {
        consecutive_failures: Some(5),
        failure_rate: Some(0.1),
        slow_rate: Some(0.5),
        calls_min: 10,
    };

    #[test]
    fn rates_follow_the_table() {
        let check = |calls, failures, slow, expect| {
            assert_eq!(
                THRESHOLDS.by_rate(Tally {
                    calls,
                    failures,
                    slow
                }),
                expect
            );
        };
        check(9, 9, 9, None);
        check(10, 0, 0, None);
        check(
            10,
            1,
            0,
            Some(Cause::FailureRate {
                failures: 1,
                calls: 10,
            }),
        );
        check(
            30,
            3,
            0,
            Some(Cause::FailureRate {
                failures: 3,
                calls: 30,
            }),
        );
        check(31, 3, 0, None);
        check(10, 0, 4, None);
        check(10, 0, 5, Some(Cause::SlowRate { slow: 5, calls: 10 }));
        check(
            10,
            1,
            5,
            Some(Cause::FailureRate {
                failures: 1,
                calls: 10,
            }),
        );
    }

    #[test]
    fn runs_follow_the_table() {
        assert_eq!(THRESHOLDS.by_run(4), None);
        assert_eq!(
            THRESHOLDS.by_run(5),
            Some(Cause::ConsecutiveFailures { failures: 5 })
        );
        let off = Thresholds {
            consecutive_failures: None,
            ..THRESHOLDS
        };
        assert_eq!(off.by_run(u32::MAX), None);
    }

    #[test]
    fn a_rate_that_is_off_never_trips() {
        let off = Thresholds {
            failure_rate: None,
            slow_rate: None,
            ..THRESHOLDS
        };
        assert!(!off.uses_rates());
        assert_eq!(
            off.by_rate(Tally {
                calls: 100,
                failures: 100,
                slow: 100
            }),
            None
        );
    }
}
