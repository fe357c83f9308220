//! How long a breaker stays open: exponential, jittered, honouring Retry-After.

use crate::random;

/// The parsed delays of [`OpenConfig`](crate::OpenConfig).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) delay_ns: u64,
    pub(crate) factor: f64,
    pub(crate) delay_max_ns: u64,
    pub(crate) jitter: f64,
    pub(crate) retry_after_max_ns: u64,
}

impl Backoff {
    /// The delay of the `attempt`-th opening in a row (0 is the first).
    ///
    /// `unit` is uniform in `[0, 1)` and picks from `[base·(1−jitter), base]`.
    /// What the dependency asked for (`asked_ns`, from Retry-After) is a floor,
    /// up to its own cap: a broken upstream must not close us for a year.
    pub(crate) fn delay_ns(&self, attempt: u32, unit: f64, asked_ns: u64) -> u64 {
        let base = self.base_ns(attempt);
        let jittered = base - base * self.jitter * unit;
        to_ns(jittered).max(self.honoured_ns(asked_ns)).max(1)
    }

    /// How much of a Retry-After counts.
    pub(crate) fn honoured_ns(&self, asked_ns: u64) -> u64 {
        asked_ns.min(self.retry_after_max_ns)
    }

    /// The delay of the `attempt`-th opening; advances the generator.
    pub(crate) fn next_delay_ns(&self, attempt: u32, random: &mut u64, asked_ns: u64) -> u64 {
        self.delay_ns(attempt, random::unit(random), asked_ns)
    }

    fn base_ns(&self, attempt: u32) -> f64 {
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let grown = self.delay_ns as f64 * self.factor.powi(exponent);
        grown.min(self.delay_max_ns as f64)
    }
}

/// Saturating; a float never becomes a negative or absurd delay.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate"
)]
fn to_ns(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff {
        delay_ns: 1_000,
        factor: 2.0,
        delay_max_ns: 10_000,
        jitter: 0.5,
        retry_after_max_ns: 50_000,
    };

    #[test]
    fn delays_follow_the_table() {
        let check = |attempt, unit, asked_ns, expect_ns| {
            assert_eq!(
                BACKOFF.delay_ns(attempt, unit, asked_ns),
                expect_ns,
                "attempt {attempt}, unit {unit}, asked {asked_ns}"
            );
        };
        check(0, 0.0, 0, 1_000);
        check(0, 0.5, 0, 750);
        check(1, 0.0, 0, 2_000);
        check(3, 0.0, 0, 8_000);
        check(4, 0.0, 0, 10_000);
        check(u32::MAX, 0.0, 0, 10_000);
        check(0, 0.0, 30_000, 30_000);
        check(0, 0.0, 500, 1_000);
        check(0, 0.0, u64::MAX, 50_000);
    }

    proptest! {
        #[test]
        fn a_delay_stays_between_its_bounds(attempt in 0u32..70, unit in 0.0..1.0f64, jitter in 0.0..=1.0f64) {
            let backoff = Backoff { jitter, ..BACKOFF };
            let delay = backoff.delay_ns(attempt, unit, 0);
            let base = backoff.delay_ns(attempt, 0.0, 0);
            prop_assert!(delay >= 1 && delay <= base && base <= backoff.delay_max_ns);
            prop_assert!(delay as f64 >= base as f64 * (1.0 - jitter) - 1.0);
        }

        #[test]
        fn delays_never_shrink_with_attempts(attempt in 0u32..70) {
            prop_assert!(BACKOFF.delay_ns(attempt + 1, 0.0, 0) >= BACKOFF.delay_ns(attempt, 0.0, 0));
        }
    }
}
