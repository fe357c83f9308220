//! Which contexts are read often.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::context::ContextKey;

/// Of so many hits one is counted, as that many, so that the others take no lock.
const SAMPLE: u64 = 16;
/// The most contexts that are counted between two takings.
const COUNTED_MAX: usize = 4_096;

/// About how often contexts were read since it was last [taken](Self::take).
#[derive(Debug, Default)]
pub(super) struct Reads {
    hits: AtomicU64,
    counts: Mutex<HashMap<ContextKey, u64>>,
}

impl Reads {
    pub(super) fn count_hit(&self, key: &ContextKey) {
        let hit = self.hits.fetch_add(1, Ordering::Relaxed);
        if scatter(hit).is_multiple_of(SAMPLE) {
            self.count(key, SAMPLE);
        }
    }

    pub(super) fn count_miss(&self, key: &ContextKey) {
        self.count(key, 1);
    }

    fn count(&self, key: &ContextKey, reads: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(key) {
            *count += reads;
        } else if counts.len() < COUNTED_MAX {
            counts.insert(key.clone(), reads);
        }
    }

    pub(super) fn take(&self) -> Vec<(ContextKey, u64)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *counts).into_iter().collect()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): which hits are counted has no rhythm
/// that a client's loop could fall into.
fn scatter(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{context::ContextId, memory::Owner};

    fn key(n: usize) -> ContextKey {
        ContextKey {
            owner: Owner::local(),
            id: ContextId::from(n.to_string()),
        }
    }

    #[test]
    fn a_sample_of_the_hits_stands_for_all() {
        let reads = Reads::default();
        // A loop of as many keys as there are hits to one that is counted.
        for n in 0..16 * 4_000 {
            reads.count_hit(&key(n % 16));
        }
        let counts = reads.take();
        assert_eq!(counts.len(), 16);
        for (key, count) in counts {
            assert!((2_000..8_000).contains(&count), "{key:?}: {count} of 4000");
        }
        assert_eq!(reads.take(), []);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let reads = Reads::default();
        for n in 0..COUNTED_MAX + 10 {
            reads.count_miss(&key(n));
        }
        reads.count_miss(&key(0));
        let counts = reads.take();
        assert_eq!(counts.len(), COUNTED_MAX);
        assert!(counts.contains(&(key(0), 2)));
    }
}
