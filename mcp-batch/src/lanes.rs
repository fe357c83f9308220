//! The queue: one line of items per lane, and the lanes take turns.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

/// Whose items may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// By the caller's number.
    Shared(u64),
    /// One list with a function of its own.
    List(u64),
}

/// Items of many lanes, first in first out within each.
#[derive(Debug)]
pub(crate) struct Lanes<I> {
    lanes: HashMap<Lane, VecDeque<I>, BuildHasherDefault<Spread>>,
    /// Lanes that have items, next first.
    turn: VecDeque<Lane>,
    len: usize,
    /// A line kept for the next lane, so that a lane that empties with every
    /// batch does not allocate with every batch.
    spare: VecDeque<I>,
}

impl<I> Lanes<I> {
    pub(crate) fn new() -> Self {
        Self {
            lanes: HashMap::default(),
            turn: VecDeque::new(),
            len: 0,
            spare: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Lanes that have items.
    pub(crate) fn lanes(&self) -> usize {
        self.turn.len()
    }

    /// The items now in the lane.
    pub(crate) fn push(&mut self, lane: Lane, item: I) -> usize {
        self.len += 1;
        let (spare, turn) = (&mut self.spare, &mut self.turn);
        let line = self.lanes.entry(lane).or_insert_with(|| {
            turn.push_back(lane);
            std::mem::take(spare)
        });
        line.push_back(item);
        line.len()
    }

    /// The items of the lane whose turn it is.
    pub(crate) fn next_len(&self) -> usize {
        let line = self.turn.front().and_then(|lane| self.lanes.get(lane));
        line.map_or(0, VecDeque::len)
    }

    /// The first items of the lane whose turn it is, while `keep_on` says so;
    /// then it is the next lane's turn.
    pub(crate) fn take(&mut self, mut keep_on: impl FnMut(&I) -> bool, out: &mut Vec<I>) {
        let Some(lane) = self.turn.pop_front() else {
            return;
        };
        let Some(line) = self.lanes.get_mut(&lane) else {
            return;
        };
        while line.front().is_some_and(&mut keep_on) {
            self.len -= 1;
            out.extend(line.pop_front());
        }
        if line.is_empty() {
            self.spare = self.lanes.remove(&lane).unwrap_or_default();
        } else {
            self.turn.push_back(lane);
        }
    }

    /// The lanes that have items, in turn: the first item, which is the lane's
    /// oldest, and how many there are.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&I, usize)> {
        let lines = self.turn.iter().filter_map(|lane| self.lanes.get(lane));
        lines.filter_map(|line| Some((line.front()?, line.len())))
    }

    /// Removes the items that are `gone`, wherever they stand.
    pub(crate) fn remove(&mut self, gone: impl Fn(&I) -> bool) -> Vec<I> {
        let mut removed = Vec::new();
        for line in self.lanes.values_mut() {
            if line.iter().any(&gone) {
                let (out, stay) = partition(std::mem::take(line), &gone);
                removed.extend(out);
                *line = stay;
            }
        }
        self.len -= removed.len();
        self.lanes.retain(|_, line| !line.is_empty());
        let lanes = &self.lanes;
        self.turn.retain(|lane| lanes.contains_key(lane));
        removed
    }

    /// Removes the item that is oldest by `age`, smallest first.
    pub(crate) fn pop_oldest(&mut self, age: impl Fn(&I) -> u64) -> Option<I> {
        let oldest = self
            .turn
            .iter()
            .copied()
            .min_by_key(|lane| self.lanes.get(lane).and_then(VecDeque::front).map(&age))?;
        let line = self.lanes.get_mut(&oldest)?;
        let item = line.pop_front()?;
        self.len -= 1;
        if line.is_empty() {
            self.lanes.remove(&oldest);
            self.turn.retain(|lane| *lane != oldest);
        }
        Some(item)
    }

    /// All that is left.
    pub(crate) fn drain(&mut self) -> Vec<I> {
        self.len = 0;
        self.turn.clear();
        self.lanes.drain().flat_map(|(_, line)| line).collect()
    }
}

fn partition<I>(line: VecDeque<I>, gone: impl Fn(&I) -> bool) -> (Vec<I>, VecDeque<I>) {
    let (mut out, mut stay) = (Vec::new(), VecDeque::with_capacity(line.len()));
    for item in line {
        if gone(&item) {
            out.push(item);
        } else {
            stay.push_back(item);
        }
    }
    (out, stay)
}

/// One multiplication: lane numbers are the caller's own, and there are never
/// more of them than the queue is long.
#[derive(Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    /// The kind of lane.
    fn write_isize(&mut self, kind: isize) {
        self.0 = kind.unsigned_abs() as u64;
    }

    fn write_u64(&mut self, lane: u64) {
        let mixed = (self.0 ^ lane).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(lanes: &mut Lanes<(u64, u64)>, n: usize) -> Vec<(u64, u64)> {
        let (mut out, mut left) = (Vec::new(), n);
        let keep_on = |_: &(u64, u64)| {
            let more = left > 0;
            left = left.saturating_sub(1);
            more
        };
        lanes.take(keep_on, &mut out);
        out
    }

    #[test]
    fn lanes_take_turns_however_long_one_is() {
        let mut lanes = Lanes::new();
        (0..10).for_each(|i| {
            lanes.push(Lane::Shared(1), (1, i));
        });
        lanes.push(Lane::List(1), (2, 10));
        assert_eq!(take(&mut lanes, 3), [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(take(&mut lanes, 3), [(2, 10)]);
        assert_eq!(take(&mut lanes, 3), [(1, 3), (1, 4), (1, 5)]);
        assert_eq!(lanes.pop_oldest(|item| item.1), Some((1, 6)));
        assert_eq!((lanes.len(), lanes.lanes(), lanes.next_len()), (3, 1, 3));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_lane_keeps_its_order(
            ops in proptest::collection::vec((0u64..5, 0usize..4, 0u8..4), 0..200),
        ) {
            let (mut lanes, mut out) = (Lanes::new(), Vec::new());
            let mut swept = 0;
            for (i, (lane, n, op)) in (0u64..).zip(&ops) {
                lanes.push(Lane::Shared(*lane), (*lane, i));
                out.extend(take(&mut lanes, *n));
                if *op == 1 {
                    let oldest = lanes.lines().map(|(item, _)| item.1).min();
                    let popped = lanes.pop_oldest(|item| item.1);
                    prop_assert_eq!(popped.map(|item| item.1), oldest);
                    out.extend(popped);
                }
                if *op == 2 {
                    let gone = lanes.remove(|item| item.1 % 3 == 0);
                    prop_assert!(gone.iter().all(|item| item.1 % 3 == 0));
                    swept += gone.len();
                }
                let lens: Vec<_> = lanes.lines().map(|(_, len)| len).collect();
                prop_assert_eq!((lens.iter().sum(), lens.len()), (lanes.len(), lanes.lanes()));
                prop_assert!(lens.iter().all(|len| *len > 0));
                let seen = lanes.len() + out.len() + swept;
                prop_assert_eq!(seen, usize::try_from(i).expect("small") + 1);
            }
            while lanes.len() > 0 {
                out.extend(take(&mut lanes, 7));
            }
            prop_assert_eq!(out.len() + swept, ops.len());
            for lane in 0..5 {
                prop_assert!(out.iter().filter(|item| item.0 == lane).is_sorted());
            }
        }
    }
}
