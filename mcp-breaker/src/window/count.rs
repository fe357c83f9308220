//! The last N results as a bit ring per property: it slides with every call.

use super::{
    Grade,
    cell::{LifeCell, take_one_back},
};
use crate::{
    striped::Striped,
    sync::{AtomicU64, Ordering, Padded, fence},
    trip::Tally,
};
use std::num::NonZeroU64;

/// Low bits of the life in the cursor | 52 bits of ticket. At a million calls
/// a second the tickets of one life last for 142 years.
const TICKET_BITS: u32 = 52;
const TICKET_MASK: u64 = (1 << TICKET_BITS) - 1;

const fn cursor_tag(life: u32) -> u64 {
    (life as u64) << TICKET_BITS
}

/// A window that is full and without a mark is the same after one more good
/// call, whichever slot that overwrites. So a healthy call takes no ticket: it
/// reads, and counts itself in a cell that other threads do not write.
///
/// A ticket names the slot that its call overwrites. A thread that stalls
/// between its ticket and its slot for a whole turn of the ring leaves an
/// outcome that is older than the slot's neighbours; the counts stay exact.
#[derive(Debug)]
pub(crate) struct CountRing {
    cursor: Padded<AtomicU64>,
    /// Tickets of the lives before the current one.
    earlier: AtomicU64,
    /// Good calls that took no ticket, over all lives.
    unmarked: Striped,
    /// As a `NonZero` it needs no check before the division.
    size: NonZeroU64,
    failed: BitRing,
    slow: Option<BitRing>,
}

impl CountRing {
    pub(crate) fn new(size: u32, watches_slow: bool) -> Self {
        Self {
            cursor: Padded(AtomicU64::new(0)),
            earlier: AtomicU64::new(0),
            unmarked: Striped::default(),
            size: NonZeroU64::new(u64::from(size)).unwrap_or(NonZeroU64::MIN),
            failed: BitRing::new(size),
            slow: watches_slow.then(|| BitRing::new(size)),
        }
    }

    /// Notes a good call if that takes no ticket; whether it did. A mark that
    /// comes in at the same time comes after the call.
    #[inline]
    pub(crate) fn note_unmarked(&self, life: u32) -> bool {
        // The cursor comes last: while there are marks every call writes it, and
        // a look at it before that would move its cache line twice.
        let unmarked = self.failed.is_clean(life)
            && self.slow.as_ref().is_none_or(|ring| ring.is_clean(life))
            && self.is_full(life);
        if unmarked {
            self.unmarked.add_one();
        }
        unmarked
    }

    #[inline]
    pub(crate) fn record(&self, life: u32, grade: Grade) -> bool {
        let cursor = self.cursor.0.fetch_add(1, Ordering::Relaxed);
        if cursor & !TICKET_MASK != cursor_tag(life) {
            // The life ended between the caller's look at the state and its
            // ticket: the ticket belongs to another life.
            take_one_back(&self.cursor.0, cursor & !TICKET_MASK, TICKET_MASK);
            return false;
        }
        let slot = (cursor & TICKET_MASK) % self.size;
        self.failed.write(slot, grade.failed, life);
        if let Some(ring) = &self.slow {
            ring.write(slot, grade.slow, life);
        }
        true
    }

    #[inline]
    fn is_full(&self, life: u32) -> bool {
        let cursor = self.cursor.0.load(Ordering::Relaxed);
        cursor & !TICKET_MASK == cursor_tag(life) && cursor & TICKET_MASK >= self.size.get()
    }

    /// The parts are read before the whole: calls that come in between make a
    /// rate too low for a moment, never too high.
    pub(crate) fn tally(&self, life: u32) -> Tally {
        let failures = self.failed.ones(life);
        let slow = self.slow.as_ref().map_or(0, |ring| ring.ones(life));
        fence(Ordering::Acquire);
        let cursor = self.cursor.0.load(Ordering::Relaxed);
        if cursor & !TICKET_MASK != cursor_tag(life) {
            return Tally::default();
        }
        let calls = (cursor & TICKET_MASK).min(self.size.get());
        Tally {
            calls: u32::try_from(calls).unwrap_or(u32::MAX),
            failures,
            slow,
        }
    }

    pub(crate) fn recorded(&self) -> u64 {
        let current = self.cursor.0.load(Ordering::Relaxed) & TICKET_MASK;
        self.earlier.load(Ordering::Relaxed) + current + self.unmarked.sum()
    }

    pub(crate) fn begin(&self, life: u32) {
        let before = self.cursor.0.swap(cursor_tag(life), Ordering::Relaxed);
        self.earlier
            .fetch_add(before & TICKET_MASK, Ordering::Relaxed);
    }
}

/// One bit per slot and the number of ones. Written only when a bit changes.
#[derive(Debug)]
struct BitRing {
    words: Box<[LifeCell]>,
    /// Two's complement: a decrement may overtake the increment it undoes.
    ones: LifeCell,
}

impl BitRing {
    fn new(size: u32) -> Self {
        let words = (0..size.div_ceil(u32::BITS))
            .map(|_| LifeCell::new())
            .collect();
        Self {
            words,
            ones: LifeCell::new(),
        }
    }

    #[inline]
    fn write(&self, slot: u64, bit: bool, life: u32) {
        let bits = u64::from(u32::BITS);
        let Some(word) = usize::try_from(slot / bits)
            .ok()
            .and_then(|at| self.words.get(at))
        else {
            return;
        };
        let mask = 1u32 << (slot % bits);
        if (word.value(life) & mask != 0) != bit {
            self.flip(word, mask, bit, life);
        }
    }

    /// Kept out of the hot path's code: a healthy dependency never comes here.
    #[cold]
    fn flip(&self, word: &LifeCell, mask: u32, bit: bool, life: u32) {
        let changed = |bits: u32| ((bits & mask != 0) != bit).then_some(bits ^ mask);
        if word.update(life, changed).is_some() {
            let delta = if bit { 1 } else { u32::MAX };
            self.ones
                .update(life, |ones| Some(ones.wrapping_add(delta)));
        }
    }

    /// A count below zero is on its way up: not clean.
    #[inline]
    fn is_clean(&self, life: u32) -> bool {
        self.ones.value(life) == 0
    }

    fn ones(&self, life: u32) -> u32 {
        let ones = self.ones.value(life).cast_signed();
        ones.max(0).unsigned_abs()
    }
}
