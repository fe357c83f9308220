//! Randomness for jitter and shedding: good enough to spread callers, not secret.

use crate::sync::{AtomicU64, Ordering};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Weyl increment of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A seed that differs per process and per call; std's hasher keys are random.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Uniform in `[0, 1)`; advances `state`.
pub(crate) fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(STEP);
    to_unit(*state)
}

/// A generator that many threads share without a lock.
#[derive(Debug)]
pub(crate) struct SharedRandom(AtomicU64);

impl SharedRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&self) -> f64 {
        let before = self.0.fetch_add(STEP, Ordering::Relaxed);
        to_unit(before.wrapping_add(STEP))
    }
}

/// SplitMix64's finaliser, scaled to the 53 bits that an `f64` holds exactly.
fn to_unit(weyl: u64) -> f64 {
    let mut z = weyl;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_range_and_spread() {
        let mut state = 7;
        let mut below_half = 0;
        for _ in 0..10_000 {
            let value = unit(&mut state);
            assert!((0.0..1.0).contains(&value));
            below_half += u32::from(value < 0.5);
        }
        assert!((4_700..5_300).contains(&below_half), "{below_half}");
    }

    #[cfg(not(mcp_loom))]
    #[test]
    fn shared_and_owned_generators_agree() {
        let shared = SharedRandom::new(3);
        let mut owned = 3;
        for _ in 0..100 {
            assert_eq!(shared.unit(), unit(&mut owned));
        }
    }
}
