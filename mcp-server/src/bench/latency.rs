//! How long calls took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer ones are counted as this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Significant decimal digits that are kept.
const DIGITS: u8 = 3;

/// Latencies as a histogram of nanoseconds with three significant digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    /// None yet.
    fn default() -> Self {
        let histogram = Histogram::new_with_max(nanos(LATENCY_MAX), DIGITS);
        Self(histogram.expect("the bounds are constants that fit"))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanos(latency));
    }

    /// Counts all of another one, too.
    ///
    /// # Panics
    ///
    /// Never: all have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latency that `percent` of the calls did not exceed; zero where there is no call.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: Duration, expected: Duration) {
        let ratio = actual.as_secs_f64() / expected.as_secs_f64();
        assert!((0.999..1.001).contains(&ratio), "{actual:?} {expected:?}");
    }

    #[test]
    fn percentiles_have_three_digits_and_parts_add_up() {
        let mut parts = [Latencies::default(), Latencies::default()];
        for millis in 1..=200 {
            parts[usize::from(millis % 2 == 1)].record(Duration::from_millis(millis));
        }
        let [mut all, odd] = parts;
        all.merge(&odd);
        assert_eq!(all.len(), 200);
        close(all.percentile(50.0), Duration::from_millis(100));
        close(all.percentile(99.0), Duration::from_millis(198));
        close(all.percentile(100.0), Duration::from_millis(200));
    }

    #[test]
    fn none_and_endless_ones_are_counted_as_such() {
        let mut latencies = Latencies::default();
        assert!(latencies.is_empty());
        assert_eq!(latencies.percentile(99.0), Duration::ZERO);
        latencies.record(Duration::MAX);
        close(latencies.percentile(50.0), LATENCY_MAX);
    }
}
