//! Randomness for jitter: good enough to spread expiries, not secret.

/// Weyl increment of SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Uniform in `[0, 1)`; advances `state`.
#[cfg(any(test, feature = "history"))]
pub(crate) fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(STEP);
    unit_of(*state)
}

/// Uniform below `bound`, which is small; advances `state`.
#[cfg(feature = "history")]
pub(crate) fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(STEP);
    bits_of(*state) % bound
}

/// Uniform in `[0, 1)` over seeds, scaled to the 53 bits that an `f64` holds
/// exactly.
pub(crate) fn unit_of(seed: u64) -> f64 {
    (bits_of(seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64's finaliser.
fn bits_of(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(all(test, not(mcp_loom)))]
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
}
