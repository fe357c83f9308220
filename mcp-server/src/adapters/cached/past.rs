//! Which memories the last changes concerned: by this, and by nothing else, it is known whether what
//! somebody kept at some place of the log is still so.
//!
//! Plain functions of (state, changes): no clock, no lock, no store.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::memory::{Mark, MemoryId, search::Watermark};

/// The most changes that are known, about 50 bytes each.
pub(super) const LEN_MAX: usize = 50_000;

/// The last changes, without what they were.
#[derive(Debug)]
pub(super) struct Past {
    /// Everything after this change is known.
    since: i64,
    /// What the store wrote beside it, if that is known.
    since_stamp: Option<i64>,
    changes: VecDeque<Entry>,
    /// The last change of each memory. Two memories that share a number pass for one that is changed
    /// more often.
    last: HashMap<u64, i64>,
    len_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    memory: u64,
    stamp: i64,
}

impl Past {
    /// Knows what comes after `upto`, the last `len_max` changes of it.
    pub(super) fn new(upto: Watermark, len_max: usize) -> Self {
        Self {
            since: upto.sequence,
            since_stamp: Some(upto.stamp),
            changes: VecDeque::new(),
            last: HashMap::new(),
            len_max,
        }
    }

    /// The last change that is known.
    fn upto(&self) -> i64 {
        self.since + self.changes.len() as i64
    }

    /// The place of the log that is known up to; `None` only where a bound of no changes was asked for.
    pub(super) fn place(&self) -> Option<Watermark> {
        let stamp = match self.changes.back() {
            Some(last) => last.stamp,
            None => self.since_stamp?,
        };
        Some(Watermark {
            sequence: self.upto(),
            stamp,
        })
    }

    /// How many changes are known.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Takes up the next change. Where one is missing in between, it begins anew with this one.
    pub(super) fn push(&mut self, at: Watermark, id: &MemoryId) {
        if at.sequence != self.upto() + 1 {
            *self = Self::new(at, self.len_max);
            return;
        }
        let memory = number(id);
        self.changes.push_back(Entry {
            memory,
            stamp: at.stamp,
        });
        self.last.insert(memory, at.sequence);
        self.shorten();
    }

    /// Takes up what was before it began, as the store's `history` tells, if that is the same history.
    pub(super) fn learn(&mut self, history: &[Mark]) {
        for mark in history.iter().rev() {
            if mark.at.sequence > self.since {
                continue;
            }
            let same = self.since_stamp.is_none_or(|stamp| stamp == mark.at.stamp);
            if mark.at.sequence != self.since || !same || self.changes.len() >= self.len_max {
                break;
            }
            let memory = number(&mark.id);
            self.changes.push_front(Entry {
                memory,
                stamp: mark.at.stamp,
            });
            self.last.entry(memory).or_insert(mark.at.sequence);
            self.since -= 1;
            self.since_stamp = None;
        }
    }

    fn shorten(&mut self) {
        while self.changes.len() > self.len_max {
            let Some(first) = self.changes.pop_front() else {
                return;
            };
            self.since += 1;
            self.since_stamp = Some(first.stamp);
            if self.last.get(&first.memory) == Some(&self.since) {
                self.last.remove(&first.memory);
            }
        }
    }

    /// Whether `place` is a part of this history, and all that came after it is known.
    pub(super) fn knows(&self, place: Watermark) -> bool {
        let after = place.sequence.checked_sub(self.since);
        let Some(after) = after.and_then(|after| usize::try_from(after).ok()) else {
            return false;
        };
        let stamp = match after.checked_sub(1) {
            None => self.since_stamp,
            Some(at) => self.changes.get(at).map(|change| change.stamp),
        };
        stamp == Some(place.stamp)
    }

    /// Whether the memory is as it was at `place`. `false` also where that cannot be told.
    pub(super) fn stands(&self, id: &MemoryId, place: Watermark) -> bool {
        let last = || self.last.get(&number(id)).copied();
        self.knows(place) && last().is_none_or(|last| last <= place.sequence)
    }
}

fn number(id: &MemoryId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(sequence: i64, stamp: i64) -> Watermark {
        Watermark { sequence, stamp }
    }

    fn id(n: u8) -> MemoryId {
        MemoryId::from(n.to_string())
    }

    fn mark(sequence: i64, memory: u8) -> Mark {
        Mark {
            at: at(sequence, sequence * 7),
            id: id(memory),
        }
    }

    #[test]
    fn another_history_is_known_for_one() {
        let mut past = Past::new(at(3, 21), 10);
        past.push(at(4, 28), &id(1));
        assert!(past.knows(at(3, 21)) && past.knows(at(4, 28)));
        for other in [at(3, 5), at(4, 27), at(2, 14), at(5, 35), at(-1, 0)] {
            assert!(!past.knows(other), "{other:?}");
        }
        // What is told of another history is not taken up.
        past.learn(&[Mark {
            at: at(3, 5),
            id: id(2),
        }]);
        assert_eq!(past.len(), 1);
        past.learn(&[mark(2, 2), mark(3, 2), mark(4, 1)]);
        assert!(past.knows(at(2, 14)) && !past.knows(at(1, 7)));
        assert!(!past.stands(&id(2), at(2, 14)) && past.stands(&id(2), at(3, 21)));
    }

    #[test]
    fn after_a_gap_it_begins_anew() {
        let mut past = Past::new(at(3, 21), 10);
        past.push(at(4, 28), &id(1));
        past.push(at(6, 42), &id(2));
        assert_eq!((past.place(), past.len()), (Some(at(6, 42)), 0));
        assert!(!past.knows(at(4, 28)) && past.knows(at(6, 42)));
    }

    #[test]
    fn an_empty_log_is_a_place_too() {
        let mut past = Past::new(Watermark::default(), 10);
        assert_eq!(past.place(), Some(at(0, 0)));
        assert!(past.stands(&id(1), at(0, 0)));
        past.push(at(1, 7), &id(1));
        assert!(!past.stands(&id(1), at(0, 0)) && past.stands(&id(2), at(0, 0)));
    }

    proptest! {
        /// Whatever is taken up in whatever way: a memory stands if nothing has changed it since, and
        /// nothing stands that has been changed.
        #[test]
        fn what_stands_was_not_changed(
            changed in prop::collection::vec(0_u8..6, 1..40),
            began in 0_usize..40,
            learnt in 0_usize..40,
            len_max in 1_usize..40,
            place in 0_usize..40,
        ) {
            let log: Vec<Mark> = changed.iter().enumerate().map(|(n, memory)| mark(n as i64 + 1, *memory)).collect();
            let began = began.min(log.len());
            let upto = began.checked_sub(1).map_or_else(|| at(0, 0), |last| log[last].at);
            let mut past = Past::new(upto, len_max);
            for mark in &log[began..] {
                past.push(mark.at, &mark.id);
            }
            let told = &log[log.len() - learnt.min(log.len())..];
            past.learn(told);
            prop_assert!(past.len() <= len_max);
            prop_assert_eq!(past.place(), Some(log[log.len() - 1].at));
            let place = place.min(log.len());
            let from = place.checked_sub(1).map_or_else(|| at(0, 0), |last| log[last].at);
            for memory in 0..6 {
                let unchanged = !changed[place..].contains(&memory);
                let stands = past.stands(&id(memory), from);
                prop_assert!(!stands || unchanged);
                let told = log.len() - place < past.len();
                prop_assert_eq!(stands, past.knows(from) && unchanged);
                prop_assert!(!told || past.knows(from));
            }
        }
    }
}
