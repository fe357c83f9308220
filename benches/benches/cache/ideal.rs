//! What no cache can beat, and what every cache should: the future known, and
//! the plain past.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Hits of Belady's rule (1966): the entry whose next use is farthest away
/// leaves, or the newcomer does not come in.
pub(crate) fn belady(keys: &[u64], entries: u64) -> usize {
    let mut next_use = vec![usize::MAX; keys.len()];
    let mut seen = HashMap::new();
    for (at, key) in keys.iter().enumerate().rev() {
        if let Some(next) = seen.insert(*key, at) {
            next_use[at] = next;
        }
    }
    let (mut hits, mut held, mut by_next) = (0, HashMap::new(), BTreeSet::new());
    for (at, key) in keys.iter().enumerate() {
        if let Some(next) = held.insert(*key, next_use[at]) {
            hits += 1;
            by_next.remove(&(next, *key));
        }
        by_next.insert((next_use[at], *key));
        if held.len() as u64 > entries
            && let Some((_, farthest)) = by_next.pop_last()
        {
            held.remove(&farthest);
        }
    }
    hits
}

/// Hits of a list by last use.
pub(crate) fn lru(keys: &[u64], entries: u64) -> usize {
    let (mut hits, mut held, mut by_use) = (0, HashMap::new(), BTreeMap::new());
    for (at, key) in keys.iter().enumerate() {
        if let Some(before) = held.insert(*key, at) {
            hits += 1;
            by_use.remove(&before);
        }
        by_use.insert(at, *key);
        if held.len() as u64 > entries
            && let Some((_, oldest)) = by_use.pop_first()
        {
            held.remove(&oldest);
        }
    }
    hits
}
