//! Randomness for jitter and for choosing: good enough to spread, not secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Weyl increment of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// With a seed that differs per process and per call; std's hasher keys
    /// are random.
    pub(crate) fn seeded() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `duration_ns` scaled by a factor that is uniform in `[low, high)`.
    pub(crate) fn scale(&mut self, duration_ns: u64, low: f64, high: f64) -> u64 {
        let factor = low + (high - low) * self.unit();
        // Saturates, which a duration of centuries survives.
        #[expect(clippy::cast_possible_truncation, reason = "saturates at the bounds")]
        let scaled_ns = (duration_ns as f64 * factor) as u64;
        scaled_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_range_and_spread() {
        let mut random = Random::new(7);
        let mut below_half = 0;
        for _ in 0..10_000 {
            let value = random.unit();
            assert!((0.0..1.0).contains(&value));
            below_half += u32::from(value < 0.5);
        }
        assert!((4_700..5_300).contains(&below_half), "{below_half}");
    }

    #[test]
    fn a_scaled_duration_keeps_to_its_range() {
        let mut random = Random::new(3);
        let scaled: Vec<u64> = (0..1_000).map(|_| random.scale(1_000, 0.9, 1.1)).collect();
        assert!(scaled.iter().all(|ns| (900..1_100).contains(ns)));
        assert!(scaled.iter().any(|ns| *ns < 930) && scaled.iter().any(|ns| *ns > 1_070));
    }
}
