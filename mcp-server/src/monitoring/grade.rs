//! What it all comes to: a grade, with its reason.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Counts, millis};

/// A grade. Better ones are less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Letter {
    /// Below 50 ms on average and 1 % of errors.
    A,
    /// Below 100 ms and 2 %.
    B,
    /// Below 200 ms and 5 %.
    C,
    /// Below 500 ms and 10 %.
    D,
    /// Anything else.
    F,
}

impl Letter {
    /// The letter itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::F => "F",
        }
    }
}

/// Each grade with what it must stay below: milliseconds on average, and errors in percent.
const BELOW: [(Letter, u64, u64); 4] = [
    (Letter::A, 50, 1),
    (Letter::B, 100, 2),
    (Letter::C, 200, 5),
    (Letter::D, 500, 10),
];

/// The grade of some calls. Who is exactly at a boundary has the worse grade.
#[must_use]
pub fn letter(mean: Duration, failed: u64, calls: u64) -> Letter {
    latency_letter(mean).max(errors_letter(failed, calls))
}

fn latency_letter(mean: Duration) -> Letter {
    let found = BELOW
        .iter()
        .find(|(_, below_ms, _)| mean < Duration::from_millis(*below_ms));
    found.map_or(Letter::F, |(letter, ..)| *letter)
}

/// In whole numbers, so that a boundary is one.
fn errors_letter(failed: u64, calls: u64) -> Letter {
    let scaled = u128::from(failed) * 100;
    let found = BELOW
        .iter()
        .find(|(_, _, percent)| scaled < u128::from(*percent) * u128::from(calls.max(1)));
    found.map_or(Letter::F, |(letter, ..)| *letter)
}

/// The grade of the server, and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GradeStatus {
    /// The grade; absent before the first call, and when none came for a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter: Option<Letter>,
    /// Why, in a sentence.
    pub reason: String,
    /// The calls that it was made of came in the last `minute`, `hour` or `day`.
    pub window: &'static str,
    /// How many there were.
    pub calls: u64,
    /// What they took on average, without the time that other servers took.
    pub mean_ms: f64,
    /// The share of them that failed by this server's fault, 0 to 1.
    pub error_share: f64,
}

impl GradeStatus {
    /// The grade of `counts`, which came in `window`.
    #[must_use]
    pub fn of(counts: &Counts, window: &'static str) -> Self {
        let (mean, failed, calls) = (counts.mean(), counts.failed(), counts.calls());
        let graded = (calls > 0).then(|| letter(mean, failed, calls));
        let mean_ms = millis(mean);
        let percent = counts.failed_share() * 100.0;
        let reason = match graded {
            None => "no calls yet".to_owned(),
            Some(_) => {
                let led = match latency_letter(mean).cmp(&errors_letter(failed, calls)) {
                    std::cmp::Ordering::Greater => "latency decides",
                    std::cmp::Ordering::Less => "errors decide",
                    std::cmp::Ordering::Equal => "latency and errors agree",
                };
                format!(
                    "{mean_ms:.1} ms on average and {percent:.2} % errors in {calls} calls of \
                     the last {window}: {led}"
                )
            }
        };
        Self {
            letter: graded,
            reason,
            window,
            calls,
            mean_ms,
            error_share: counts.failed_share(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_the_worse_grade() {
        let check = |micros: u64, failed: u64, expect: Letter| {
            let found = letter(Duration::from_micros(micros), failed, 1_000);
            assert_eq!(found, expect, "{micros} µs, {failed} of 1,000");
        };
        for (micros, expect) in [
            (0, Letter::A),
            (49_999, Letter::A),
            (50_000, Letter::B),
            (99_999, Letter::B),
            (100_000, Letter::C),
            (199_999, Letter::C),
            (200_000, Letter::D),
            (499_999, Letter::D),
            (500_000, Letter::F),
            (500_001, Letter::F),
        ] {
            check(micros, 0, expect);
        }
        for (failed, expect) in [
            (0, Letter::A),
            (9, Letter::A),
            (10, Letter::B),
            (19, Letter::B),
            (20, Letter::C),
            (49, Letter::C),
            (50, Letter::D),
            (99, Letter::D),
            (100, Letter::F),
            (1_000, Letter::F),
        ] {
            check(1_000, failed, expect);
        }
        // The worse of both counts.
        check(120_000, 15, Letter::C);
        check(60_000, 70, Letter::D);
    }

    #[test]
    fn the_reason_says_what_decided() {
        let mut counts = Counts::default();
        assert_eq!(GradeStatus::of(&counts, "day").letter, None);
        counts.buckets[0] = 100;
        counts.failed = 7;
        let grade = GradeStatus::of(&counts, "minute");
        assert_eq!(grade.letter, Some(Letter::D));
        assert!(
            grade.reason.contains("7.00 % errors in 100 calls"),
            "{}",
            grade.reason
        );
        assert!(grade.reason.contains("errors decide"), "{}", grade.reason);
    }
}
