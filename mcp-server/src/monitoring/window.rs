//! Sliding windows: what was counted lately, in slots of time that are forgotten one by one. No
//! clock is read here: the time since the start is an argument.

use std::time::Duration;

use super::latency::{BUCKETS, Counts};

/// Slots of the shortest and of the middle window.
const SLOTS: usize = 12;
/// Slots of the longest window.
const DAY_SLOTS: usize = 24;

/// A window that statuses tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last minute, unless the configuration has made it another one.
    Minute,
    /// The last hour.
    Hour,
    /// The last day.
    Day,
}

/// The counts of the last minute, hour and day.
#[derive(Debug)]
pub(super) struct Windows {
    minute: Ring<SLOTS>,
    hour: Ring<SLOTS>,
    day: Ring<DAY_SLOTS>,
}

impl Windows {
    /// Windows of which the shortest covers `minute`.
    pub(super) fn new(minute: Duration) -> Self {
        Self {
            minute: Ring::new(minute),
            hour: Ring::new(Duration::from_secs(3_600)),
            day: Ring::new(Duration::from_secs(86_400)),
        }
    }

    /// Adds what was counted until `now`.
    pub(super) fn add(&mut self, now: Duration, counts: &Counts) {
        let packed = Packed::of(counts);
        if packed.is_empty() {
            return;
        }
        self.minute.add(now, &packed);
        self.hour.add(now, &packed);
        self.day.add(now, &packed);
    }

    /// What the window that ends `now` holds.
    pub(super) fn read(&self, span: Span, now: Duration) -> Counts {
        match span {
            Span::Minute => self.minute.read(now),
            Span::Hour => self.hour.read(now),
            Span::Day => self.day.read(now),
        }
    }
}

impl Windows {
    /// When each slot of the window that ends `now` began, and how long it has lasted; `minute`: what
    /// the shortest window covers.
    pub(super) fn slots(
        minute: Duration,
        span: Span,
        now: Duration,
    ) -> impl Iterator<Item = (Duration, Duration)> {
        let (width, len) = match span {
            Span::Minute => (minute / 12, SLOTS),
            Span::Hour => (Duration::from_secs(3_600) / 12, SLOTS),
            Span::Day => (Duration::from_secs(86_400) / 24, DAY_SLOTS),
        };
        let width = width.max(Duration::from_nanos(1));
        let last = now.as_nanos() / width.as_nanos();
        let first = (last + 1).saturating_sub(len as u128);
        (first..=last).map(move |number| {
            let began = width * u32::try_from(number).unwrap_or(u32::MAX);
            (began, now.saturating_sub(began).min(width))
        })
    }

    /// What each slot that is not empty holds, and when it began.
    pub(super) fn history(&self, span: Span, now: Duration) -> Vec<(Duration, Counts)> {
        match span {
            Span::Minute => self.minute.history(now),
            Span::Hour => self.hour.history(now),
            Span::Day => self.day.history(now),
        }
    }
}

/// `N` slots of equal width, the present one included, so that a window covers at least
/// (N - 1) / N of its span.
#[derive(Debug)]
struct Ring<const N: usize> {
    slot_nanos: u128,
    slots: [Slot; N],
}

#[derive(Debug, Default)]
struct Slot {
    /// Which slot since the start it is.
    number: u64,
    held: Packed,
}

impl<const N: usize> Ring<N> {
    fn new(span: Duration) -> Self {
        Self {
            slot_nanos: (span.as_nanos() / N as u128).max(1),
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }

    fn number(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.slot_nanos).unwrap_or(u64::MAX)
    }

    fn add(&mut self, now: Duration, packed: &Packed) {
        let number = self.number(now);
        let slot = &mut self.slots[place::<N>(number)];
        if slot.number == number {
            slot.held.add(packed);
        } else if slot.number < number || slot.held.is_empty() {
            *slot = Slot {
                number,
                held: packed.clone(),
            };
        }
    }

    fn history(&self, now: Duration) -> Vec<(Duration, Counts)> {
        let last = self.number(now);
        let width = Duration::from_nanos(u64::try_from(self.slot_nanos).unwrap_or(u64::MAX));
        let held = self.slots.iter().filter(|slot| {
            !slot.held.is_empty() && slot.number <= last && slot.number + N as u64 > last
        });
        held.map(|slot| {
            let mut counts = Counts::default();
            slot.held.add_to(&mut counts);
            let number = u32::try_from(slot.number).unwrap_or(u32::MAX);
            (width * number, counts)
        })
        .collect()
    }

    fn read(&self, now: Duration) -> Counts {
        let number = self.number(now);
        let mut all = Counts::default();
        for slot in &self.slots {
            if slot.number <= number && slot.number + N as u64 > number {
                slot.held.add_to(&mut all);
            }
        }
        all
    }
}

fn place<const N: usize>(number: u64) -> usize {
    usize::try_from(number % N as u64).expect("it is less than N")
}

/// Counts of which most buckets are empty: only those that are not.
#[derive(Debug, Clone, Default, PartialEq)]
struct Packed {
    /// Bucket and count, in their order.
    held: Box<[(u8, u32)]>,
    sum_nanos: u64,
    max_nanos: u64,
    refused: u32,
    failed: u32,
}

const _: () = assert!(BUCKETS <= 256, "a bucket's number is a byte");

impl Packed {
    fn of(counts: &Counts) -> Self {
        let held = (0_u8..=u8::MAX)
            .zip(counts.buckets)
            .filter(|(_, count)| *count > 0);
        Self {
            held: held.map(|(at, count)| (at, clamped(count))).collect(),
            sum_nanos: counts.sum_nanos,
            max_nanos: counts.max_nanos,
            refused: clamped(counts.refused),
            failed: clamped(counts.failed),
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn add(&mut self, other: &Self) {
        let mut all = Counts::default();
        self.add_to(&mut all);
        other.add_to(&mut all);
        *self = Self::of(&all);
    }

    fn add_to(&self, counts: &mut Counts) {
        for (at, count) in &self.held {
            counts.buckets[usize::from(*at)] += u64::from(*count);
        }
        counts.sum_nanos += self.sum_nanos;
        counts.max_nanos = counts.max_nanos.max(self.max_nanos);
        counts.refused += u64::from(self.refused);
        counts.failed += u64::from(self.failed);
    }
}

/// Four billion calls of one bucket in one slot are as many as can be told apart.
fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::latency::Live, *};
    use crate::monitoring::Outcome;

    const MINUTE: Duration = Duration::from_secs(60);

    fn one(millis: u64, outcome: Outcome) -> Counts {
        let live = Live::new();
        live.record(Duration::from_millis(millis), outcome);
        live.take()
    }

    #[test]
    fn what_is_older_than_a_window_is_forgotten_slot_by_slot() {
        let mut windows = Windows::new(MINUTE);
        let at = Duration::from_secs;
        windows.add(at(1), &one(10, Outcome::Done));
        windows.add(at(31), &one(500, Outcome::Failed));
        let calls = |windows: &Windows, span, now| windows.read(span, at(now)).calls();
        let minute = |windows: &Windows, now| calls(windows, Span::Minute, now);
        assert_eq!(minute(&windows, 31), 2);
        assert_eq!(minute(&windows, 59), 2);
        assert_eq!(minute(&windows, 60), 1);
        assert_eq!(windows.read(Span::Minute, at(60)).failed, 1);
        assert_eq!(minute(&windows, 90), 0);
        assert_eq!(calls(&windows, Span::Hour, 90), 2);
        assert_eq!(calls(&windows, Span::Hour, 3_600), 0);
        assert_eq!(calls(&windows, Span::Day, 86_399), 2);
        assert_eq!(calls(&windows, Span::Day, 86_400), 0);
        // A place is taken over by a later slot, and never by an earlier one.
        windows.add(at(61), &one(10, Outcome::Done));
        windows.add(at(1), &one(10, Outcome::Done));
        assert_eq!(minute(&windows, 61), 2);
    }

    #[test]
    fn a_slot_holds_all_that_was_added_to_it() {
        let mut windows = Windows::new(MINUTE);
        let mut expect = Counts::default();
        for millis in [1, 2, 2, 700, 3] {
            let counts = one(millis, Outcome::Refused);
            windows.add(Duration::from_secs(2), &counts);
            expect.add(&counts);
        }
        let held = windows.read(Span::Day, Duration::from_secs(2));
        assert_eq!(held, expect);
        assert_eq!(held.max(), Duration::from_millis(700));
    }
}
