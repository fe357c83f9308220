//! Invalidation by pattern, checked lazily: once per entry and pattern.

use super::{Epochs, glob::Glob};
use crate::sync::{AtomicU64, Ordering, RwLock, read, write};
use std::collections::VecDeque;

/// Patterns that wait for entries to meet them. Each costs an entry that was
/// not looked at since one match, once.
pub(crate) const PATTERNS_MAX: usize = 256;

#[derive(Debug)]
struct Pattern<K> {
    epoch: u64,
    glob: Glob,
    text: fn(&K) -> &str,
}

/// The patterns that were invalidated and may not have met every entry yet.
///
/// An entry that was last found live at epoch `checked` has met every pattern
/// up to there: patterns take their epoch inside the write lock, so a reader
/// that has seen an epoch and then gets the read lock sees every pattern up to
/// that epoch in the list.
///
/// The list is bounded. When it is full the oldest pattern leaves it, and from
/// then on stands for *every* key: what has not met it is dead (a false miss).
/// A sweep that has shown every entry to it lets it leave at no such cost.
#[derive(Debug)]
pub(crate) struct Patterns<K> {
    /// How many there are; raised before a pattern's epoch can be seen.
    pending: AtomicU64,
    /// The epoch of the last one that left the list.
    retired: AtomicU64,
    list: RwLock<VecDeque<Pattern<K>>>,
}

impl<K> Patterns<K> {
    pub(crate) fn new() -> Self {
        Self {
            pending: AtomicU64::new(0),
            retired: AtomicU64::new(0),
            list: RwLock::new(VecDeque::new()),
        }
    }

    pub(crate) fn invalidate(&self, epochs: &Epochs, glob: Glob, text: fn(&K) -> &str) {
        let mut list = write(&self.list);
        self.pending.fetch_add(1, Ordering::AcqRel);
        epochs.publish(|epoch| list.push_back(Pattern { epoch, glob, text }));
        if list.len() > PATTERNS_MAX {
            self.retire_front(&mut list);
        }
    }

    /// Lets go of all patterns up to `epoch`: every entry has met them.
    pub(crate) fn retire(&self, epoch: u64) {
        if self.pending.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut list = write(&self.list);
        while list.front().is_some_and(|oldest| oldest.epoch <= epoch) {
            self.retire_front(&mut list);
        }
    }

    fn retire_front(&self, list: &mut VecDeque<Pattern<K>>) {
        if let Some(oldest) = list.pop_front() {
            // In this order, so that whoever misses the pattern in the list
            // sees it here.
            self.retired.fetch_max(oldest.epoch, Ordering::AcqRel);
            self.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether a pattern later than `checked` takes the key.
    #[inline]
    pub(crate) fn any_after(&self, key: &K, checked: u64) -> bool {
        let listed =
            self.pending.load(Ordering::Acquire) > 0 && self.any_listed_after(key, checked);
        listed || self.retired.load(Ordering::Acquire) > checked
    }

    fn any_listed_after(&self, key: &K, checked: u64) -> bool {
        let list = read(&self.list);
        let newer = list
            .iter()
            .rev()
            .take_while(|pattern| pattern.epoch > checked);
        newer
            .into_iter()
            .any(|pattern| pattern.glob.matches((pattern.text)(key)))
    }

    pub(crate) fn len(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }
}
