//! Randomness for jitter: good enough to spread expiries, not secret.

/// Weyl increment of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Uniform in `[0, 1)`; advances `state`.
#[cfg(any(test, feature = "history"))]
pub(crate) fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(STEP);
    unit_of(*state)
}

/// Uniform in `[0, 1)` over seeds: SplitMix64's finaliser, scaled to the 53 bits
/// that an `f64` holds exactly.
pub(crate) fn unit_of(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}
