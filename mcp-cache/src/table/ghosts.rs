//! What was evicted lately, as fingerprints.

const WAYS: usize = 4;
const SLOTS_MIN: usize = 64;

/// Remembers the last evictions by fingerprint and the number of the eviction,
/// in buckets of four: no list, no pointers, nothing to remove. What is older
/// than the window is forgotten by its number; a full bucket forgets its
/// oldest early.
#[derive(Debug)]
pub(crate) struct Ghosts {
    slots: Vec<Ghost>,
    /// The number of the last eviction, modulo 2^32.
    evictions: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ghost {
    fingerprint: u32,
    /// When it was evicted; 0 is never.
    eviction: u32,
}

impl Ghosts {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            evictions: 0,
        }
    }

    /// Notes an eviction; `window` is how many are to be remembered.
    pub(crate) fn remember(&mut self, fingerprint: u32, window: usize) {
        if self.slots.len() < window.saturating_mul(3) / 2 || self.slots.is_empty() {
            self.resize(window);
        }
        self.evictions = self.evictions.checked_add(1).unwrap_or(1);
        let eviction = self.evictions;
        let age = |ghost: &Ghost| match ghost.eviction {
            0 => u32::MAX,
            at => eviction.wrapping_sub(at),
        };
        if let Some(oldest) = self
            .bucket(fingerprint)
            .iter_mut()
            .max_by_key(|ghost| age(ghost))
        {
            *oldest = Ghost {
                fingerprint,
                eviction,
            };
        }
    }

    /// Whether it was among the last `window` evictions; it is forgotten now.
    pub(crate) fn recall(&mut self, fingerprint: u32, window: usize) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let now = self.evictions;
        let same = |ghost: &&mut Ghost| ghost.eviction != 0 && ghost.fingerprint == fingerprint;
        let Some(ghost) = self.bucket(fingerprint).iter_mut().find(same) else {
            return false;
        };
        let age = now.wrapping_sub(ghost.eviction) as usize;
        *ghost = Ghost::default();
        age < window
    }

    fn bucket(&mut self, fingerprint: u32) -> &mut [Ghost] {
        let buckets = self.slots.len() / WAYS;
        // Fibonacci hashing: the table's own index uses the low bits.
        let spread = u64::from(fingerprint.wrapping_mul(0x9e37_79b1));
        let at = ((spread * buckets as u64) >> 32) as usize;
        &mut self.slots[at * WAYS..][..WAYS]
    }

    /// Gives memory back if the window is less than a quarter of what it was.
    pub(crate) fn shrink(&mut self, window: usize) {
        if self.slots.len() > SLOTS_MIN.max(window.saturating_mul(8)) {
            self.resize(window);
        }
    }

    /// Makes as many slots as the window needs; keeps what finds a place.
    #[cold]
    fn resize(&mut self, window: usize) {
        let slots = (window * 2).next_multiple_of(WAYS).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![Ghost::default(); slots]);
        for ghost in old.into_iter().filter(|ghost| ghost.eviction != 0) {
            let free = |slot: &&mut Ghost| slot.eviction == 0;
            if let Some(slot) = self.bucket(ghost.fingerprint).iter_mut().find(free) {
                *slot = ghost;
            }
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_remembered_and_nothing_older() {
        let mut ghosts = Ghosts::new();
        for n in 0..10_000u32 {
            ghosts.remember(n.wrapping_mul(0x2545_f491), 1_000);
        }
        let recalled = |ghosts: &mut Ghosts, range: std::ops::Range<u32>| {
            range
                .filter(|n| ghosts.recall(n.wrapping_mul(0x2545_f491), 1_000))
                .count()
        };
        assert_eq!(recalled(&mut ghosts, 0..9_000), 0);
        let found = recalled(&mut ghosts, 9_000..10_000);
        assert!(found > 900, "a full bucket rarely forgets: {found}");
        assert_eq!(recalled(&mut ghosts, 9_000..10_000), 0, "once each");
    }

    #[test]
    fn growing_keeps_what_it_knows() {
        let mut ghosts = Ghosts::new();
        for n in 0..100 {
            ghosts.remember(n, 100);
        }
        ghosts.remember(100, 10_000);
        let found = (0..100).filter(|&n| ghosts.recall(n, 10_000)).count();
        assert!(found > 90, "{found}");
    }
}
