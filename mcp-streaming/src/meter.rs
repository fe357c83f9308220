//! One limit that many streams share: bytes leased, and who waits for more.
//!
//! The count and the sign that somebody waits are one atomic word, so that a
//! release and a wait cannot miss each other, and a lease is one read-modify-write.

use crate::{
    line::{Joined, Line, Ticket},
    sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, lock},
};
use std::{sync::Arc, task::Waker};

/// Set while the line is not empty.
const WAITED_FOR: u64 = 1 << 63;

/// A limit and its watermarks, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) limit: u64,
    pub(crate) high: u64,
    pub(crate) low: u64,
}

impl Marks {
    /// The watermarks as shares of the limit.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both shares are between 0 and 1, and the limit is far below 2^53"
    )]
    pub(crate) fn new(limit: u64, high: f64, low: f64) -> Self {
        let share = |share: f64| (limit as f64 * share) as u64;
        Self {
            limit,
            high: share(high),
            low: share(low),
        }
    }
}

/// Bytes were leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leased {
    /// The high watermark was crossed, for the first time since the use was
    /// below the low one.
    pub(crate) crossed: bool,
}

#[derive(Debug)]
pub(crate) struct Meter {
    marks: Arc<Marks>,
    word: AtomicU64,
    line: Mutex<Line>,
    peak: AtomicU64,
    warnings: AtomicU64,
    streams: AtomicU32,
    is_high: AtomicBool,
}

impl Meter {
    pub(crate) fn new(marks: &Arc<Marks>) -> Self {
        Self {
            marks: Arc::clone(marks),
            word: AtomicU64::new(0),
            line: Mutex::new(Line::default()),
            peak: AtomicU64::new(0),
            warnings: AtomicU64::new(0),
            streams: AtomicU32::new(0),
            is_high: AtomicBool::new(false),
        }
    }

    /// Leases `bytes` if they are there, and nobody waits who came before the
    /// one with this ticket.
    pub(crate) fn try_take(&self, bytes: u64, ticket: Option<Ticket>) -> Option<Leased> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & WAITED_FOR != 0 && !self.is_first(ticket) {
                return None;
            }
            let used = word & !WAITED_FOR;
            if bytes > self.marks.limit - used {
                return None;
            }
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            match self
                .word
                .compare_exchange_weak(word, word + bytes, success, failure)
            {
                Ok(_) => return Some(self.note_rise(used + bytes)),
                Err(now) => word = now,
            }
        }
    }

    /// Gives `bytes` back; the waker is the first one's in the line.
    #[must_use]
    pub(crate) fn give(&self, bytes: u64) -> Option<Waker> {
        let before = self.word.fetch_sub(bytes, Ordering::AcqRel);
        if self.is_high.load(Ordering::Relaxed) {
            self.note_fall((before & !WAITED_FOR) - bytes);
        }
        if before & WAITED_FOR == 0 {
            return None;
        }
        lock(&self.line).first()
    }

    /// Gives `bytes` back that were never used; nobody is woken for them.
    pub(crate) fn refund(&self, bytes: u64) {
        let before = self.word.fetch_sub(bytes, Ordering::AcqRel);
        self.note_fall((before & !WAITED_FOR) - bytes);
    }

    /// Takes or keeps a place in the line for so many bytes. Whoever is new has
    /// to try once more afterwards, because bytes may have come back in between.
    pub(crate) fn join(&self, ticket: &mut Option<Ticket>, waker: &Waker, bytes: u64) -> Joined {
        let mut line = lock(&self.line);
        let joined = line.join(ticket, waker, bytes);
        self.word.fetch_or(WAITED_FOR, Ordering::AcqRel);
        joined
    }

    /// Gives the place up: the waker of who is first now, if it was not before,
    /// and the one that is not to be called any more.
    #[must_use]
    pub(crate) fn leave(&self, ticket: Ticket) -> (Option<Waker>, Option<Waker>) {
        let mut line = lock(&self.line);
        let left = line.leave(ticket);
        if line.is_empty() {
            self.word.fetch_and(!WAITED_FOR, Ordering::AcqRel);
        }
        let next = left.was_first.then(|| line.first()).flatten();
        (next, left.old)
    }

    /// The first one in the line, if there is room for it now: it has been woken
    /// and only has to come.
    pub(crate) fn is_due(&self) -> Option<Ticket> {
        let (ticket, bytes) = lock(&self.line).head()?;
        (bytes <= self.marks.limit.saturating_sub(self.used())).then_some(ticket)
    }

    fn is_first(&self, ticket: Option<Ticket>) -> bool {
        ticket.is_some_and(|ticket| lock(&self.line).is_first(ticket))
    }

    fn note_rise(&self, used: u64) -> Leased {
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
        let crossed = used >= self.marks.high && !self.is_high.swap(true, Ordering::Relaxed);
        if crossed {
            self.warnings.fetch_add(1, Ordering::Relaxed);
        }
        Leased { crossed }
    }

    fn note_fall(&self, used: u64) {
        if used < self.marks.low {
            self.is_high.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !WAITED_FOR
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WAITED_FOR != 0
    }

    pub(crate) fn is_high(&self) -> bool {
        self.is_high.load(Ordering::Relaxed)
    }

    pub(crate) fn marks(&self) -> Marks {
        *self.marks
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    pub(crate) fn streams(&self) -> u64 {
        u64::from(self.streams.load(Ordering::Relaxed))
    }

    /// Says how many streams there were before.
    pub(crate) fn enter(&self) -> u64 {
        u64::from(self.streams.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn exit(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(&Arc::new(Marks::new(1_000, 0.9, 0.8)))
    }

    #[test]
    fn it_never_leases_more_than_the_limit() {
        let meter = meter();
        assert!(meter.try_take(600, None).is_some());
        assert!(meter.try_take(401, None).is_none());
        assert!(meter.try_take(400, None).is_some());
        assert!(meter.try_take(1, None).is_none());
        assert!(meter.try_take(u64::MAX >> 2, None).is_none());
        assert!(meter.give(1_000).is_none());
        assert_eq!((meter.used(), meter.peak()), (0, 1_000));
    }

    #[test]
    fn it_warns_once_until_the_use_was_low() {
        let meter = meter();
        let take = |bytes| meter.try_take(bytes, None).expect("room").crossed;
        assert!(!take(899));
        assert!(take(1));
        assert!(!take(1));
        let _ = meter.give(100);
        assert!(!take(100), "801 is not below the low watermark");
        let _ = meter.give(102);
        assert!(take(101), "799 was");
        assert_eq!(meter.warnings(), 2);
    }

    #[test]
    fn nobody_overtakes_the_line() {
        let (meter, waker) = (meter(), Waker::noop());
        meter.try_take(1_000, None).expect("room");
        let (mut a, mut b) = (None, None);
        meter.join(&mut a, waker, 500);
        meter.join(&mut b, waker, 1);
        assert_eq!(meter.is_due(), None);
        assert!(meter.give(500).is_some(), "the first is woken");
        assert!(meter.try_take(1, None).is_none(), "others are not served");
        assert!(meter.try_take(1, b).is_none());
        assert_eq!(meter.is_due(), a, "it only has to come");
        assert!(meter.try_take(500, a).is_some());
        assert!(
            meter.leave(a.expect("joined")).0.is_some(),
            "the next is woken"
        );
        assert!(meter.leave(b.expect("joined")).0.is_none());
        assert!(!meter.is_waited_for());
    }
}
