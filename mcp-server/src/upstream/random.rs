//! Chance, where no two should do the same.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// A number from 0 to 1, another one at each call. Good enough to spread work; nothing secret.
pub(super) fn chance() -> f64 {
    // A new state has keys of its own, seeded by the system.
    let bits = RandomState::new().build_hasher().finish() >> 32;
    let bits = u32::try_from(bits).unwrap_or(u32::MAX);
    f64::from(bits) / f64::from(u32::MAX)
}
