//! A hashed timer wheel: entering, leaving and a tick cost the same however many
//! entries there are. Plain values; time is a count of ticks.

use std::num::NonZeroU32;

/// Slots of the wheel; an entry that is due in more ticks than this stays where
/// it is for another turn.
const SLOTS: usize = 256;
/// The end of a list.
const NONE: u32 = u32::MAX;

/// An entry's name. An old key of a place that is in use again names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: NonZeroU32,
}

/// Kept small: there is one for each session.
#[derive(Debug)]
struct Entry<T> {
    /// The one that its key has.
    generation: u32,
    previous: u32,
    next: u32,
    due: u32,
    value: Option<T>,
}

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    heads: Box<[u32]>,
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    now: u32,
    /// Of the last entry, wherever it is.
    generation: NonZeroU32,
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            heads: vec![NONE; SLOTS].into(),
            entries: Vec::new(),
            free: NONE,
            len: 0,
            now: 0,
            generation: NonZeroU32::MIN,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Enters a value that comes out at the tick `due`, or at the next one if
    /// that has passed.
    pub(crate) fn insert(&mut self, due: u64, value: T) -> Key {
        let due = ticks(due).max(self.now.saturating_add(1));
        let index = self.allocate();
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let head = slot_of(due);
        let next = std::mem::replace(&mut self.heads[head], index);
        if next != NONE {
            self.entries[at(next)].previous = index;
        }
        let entry = &mut self.entries[at(index)];
        entry.previous = NONE;
        entry.next = next;
        entry.due = due;
        entry.generation = self.generation.get();
        entry.value = Some(value);
        self.len += 1;
        Key {
            index,
            generation: self.generation,
        }
    }

    /// Takes an entry out before its time.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get(at(key.index))?;
        if entry.generation != key.generation.get() || entry.value.is_none() {
            return None;
        }
        self.unlink(key.index)
    }

    /// Moves to the tick `now`, and takes out what is due.
    pub(crate) fn advance(&mut self, now: u64, out: &mut Vec<T>) {
        let now = ticks(now).max(self.now);
        let turned = at(now - self.now).min(SLOTS);
        self.now = now;
        for back in (0..turned).rev() {
            let mut index = self.heads[(at(now) - back) % SLOTS];
            while index != NONE {
                let (next, due) = (self.entries[at(index)].next, self.entries[at(index)].due);
                if due <= self.now {
                    out.extend(self.unlink(index));
                }
                index = next;
            }
        }
    }

    fn allocate(&mut self) -> u32 {
        if self.free != NONE {
            let index = self.free;
            self.free = self.entries[at(index)].next;
            return index;
        }
        if self.entries.len() == self.entries.capacity() {
            // A quarter more, not twice as much.
            self.entries.reserve_exact((self.entries.len() / 4).max(64));
        }
        self.entries.push(Entry {
            generation: 0,
            previous: NONE,
            next: NONE,
            due: 0,
            value: None,
        });
        u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 streams fit into memory")
    }

    fn unlink(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[at(index)];
        let value = entry.value.take();
        let (previous, next, due) = (entry.previous, entry.next, entry.due);
        entry.next = self.free;
        self.free = index;
        if previous == NONE {
            self.heads[slot_of(due)] = next;
        } else {
            self.entries[at(previous)].next = next;
        }
        if next != NONE {
            self.entries[at(next)].previous = previous;
        }
        self.len -= 1;
        if self.len == 0 {
            // After a crowd has gone, its memory goes too.
            (self.entries, self.free) = (Vec::new(), NONE);
        }
        value
    }
}

/// Ticks that may be kept: of a quarter of a second, 34 years.
fn ticks(tick: u64) -> u32 {
    u32::try_from(tick).unwrap_or(u32::MAX)
}

fn slot_of(tick: u32) -> usize {
    at(tick) % SLOTS
}

fn at(index: u32) -> usize {
    index as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_old_key_names_nothing() {
        let mut wheel = Wheel::new();
        let old = wheel.insert(5, "a");
        assert_eq!(wheel.remove(old), Some("a"));
        let new = wheel.insert(5, "b");
        assert_eq!(wheel.remove(old), None);
        assert_eq!(wheel.len(), 1);
        assert_eq!(wheel.remove(new), Some("b"));
    }

    proptest! {
        /// Against a map from value to tick.
        #[test]
        fn what_is_due_comes_out_and_nothing_else(
            steps in prop::collection::vec((0u8..4, 0u64..1_500), 0..200),
        ) {
            let (mut wheel, mut model, mut keys) = (Wheel::new(), BTreeMap::new(), Vec::new());
            let mut now = 0;
            for (value, (step, number)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        keys.push((value, wheel.insert(now + number, value)));
                        model.insert(value, (now + number).max(now + 1));
                    }
                    2 if !keys.is_empty() => {
                        let index = usize::try_from(number).expect("small") % keys.len();
                        let (value, key) = keys.swap_remove(index);
                        prop_assert_eq!(wheel.remove(key).is_some(), model.remove(&value).is_some());
                    }
                    _ => {
                        now += number;
                        let mut out = Vec::new();
                        wheel.advance(now, &mut out);
                        out.sort_unstable();
                        let due: Vec<_> = model.extract_if(.., |_, due| *due <= now).collect();
                        let due: Vec<_> = due.into_iter().map(|(value, _)| value).collect();
                        prop_assert_eq!(out, due);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
