//! Statistics by tag, for those who ask for them.

use crate::sync::{Mutex, lock};
use serde::Serialize;
use std::collections::BTreeMap;

/// The name under which tags are counted that came when there was no room.
pub const OTHER_TAGS: &str = "(other)";

/// What happened to one tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TagStats {
    /// Values stored with it.
    pub inserts: u64,
    /// Invalidations of it by this cache's methods.
    pub invalidations: u64,
}

/// Counts of the first tags that come, up to a bound.
#[derive(Debug)]
pub(crate) struct TagCounters {
    tags: Mutex<BTreeMap<Box<str>, TagStats>>,
    len_max: usize,
}

impl TagCounters {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            tags: Mutex::new(BTreeMap::new()),
            len_max,
        }
    }

    pub(crate) fn inserted<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.count(names, |stats| stats.inserts += 1);
    }

    pub(crate) fn invalidated<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.count(names, |stats| stats.invalidations += 1);
    }

    fn count<'a>(&self, names: impl Iterator<Item = &'a str>, add: impl Fn(&mut TagStats)) {
        let mut tags = lock(&self.tags);
        for name in names {
            if let Some(stats) = tags.get_mut(name) {
                add(stats);
                continue;
            }
            let named = tags.len() - usize::from(tags.contains_key(OTHER_TAGS));
            let name = if named < self.len_max {
                name
            } else {
                OTHER_TAGS
            };
            add(tags.entry(name.into()).or_default());
        }
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, TagStats> {
        let tags = lock(&self.tags);
        let named = tags.iter().map(|(name, stats)| (name.to_string(), *stats));
        named.collect()
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let counters = TagCounters::new(2);
        for name in ["a", "b", "c", "a", "d"] {
            counters.inserted([name].into_iter());
        }
        counters.invalidated(["b", "e"].into_iter());
        let of = |inserts, invalidations| TagStats {
            inserts,
            invalidations,
        };
        let expect = [
            (OTHER_TAGS.to_owned(), of(2, 1)),
            ("a".to_owned(), of(2, 0)),
            ("b".to_owned(), of(1, 1)),
        ];
        assert_eq!(counters.snapshot(), BTreeMap::from(expect));
    }
}
