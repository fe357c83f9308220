//! What is there, recomputed: does the counter tell the truth, and does anybody
//! keep a stream that nobody reads?

use crate::{
    Budget, EndReason,
    stream::Stream,
    sync::{MutexGuard, lock},
};
use serde::Serialize;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// How often an audit waits for streams that are being dropped, which takes a
/// moment, unless a thread is stopped in the middle of it.
const TRIES: u32 = 10_000;

/// The sum over all streams, beside the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// What the budget's counter says.
    pub counted: u64,
    /// The leases of all streams.
    pub leased: u64,
    /// What all streams hold.
    pub held: u64,
    /// Streams that exist.
    pub streams: u64,
    /// Bytes that are counted and belong to no stream. Anything but 0 is a
    /// mistake in this library.
    pub without_owner: i64,
}

impl Audit {
    /// Whether counter and sum agree, and no stream holds more than it leased.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.without_owner == 0 && self.held <= self.leased
    }
}

/// A stream that nobody has read for long, and is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leak {
    /// The stream's number.
    pub stream: u64,
    /// File, line and column where it was made.
    pub created_at: String,
    /// How old it is.
    pub age: Duration,
    /// For how long it has had no reader, its reader has not moved although there
    /// was something to read or in its hands, or permits have kept room.
    pub stood_still: Duration,
    /// Whether there is a reader.
    pub has_reader: bool,
    /// Handles to write.
    pub writers: u32,
    /// Bytes that it holds.
    pub bytes_held: u64,
    /// Whether and why it ended.
    pub end: Option<EndReason>,
}

/// What [`Budget::leaks`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeakReport {
    /// The streams, those that hold most first.
    pub streams: Vec<Leak>,
    /// The sum over all streams, beside the counter.
    pub audit: Audit,
}

impl LeakReport {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.streams.is_empty() && self.audit.is_balanced()
    }
}

impl Budget {
    /// Recomputes the sum over all streams. All of them stand still meanwhile, for
    /// some ten nanoseconds each, so that it is exact, unless a thread is stopped in
    /// the middle of dropping a stream: then it takes as long as thousands of such
    /// sums, and the bytes of that stream are `without_owner`.
    #[must_use]
    pub fn audit(&self) -> Audit {
        for _ in 0..TRIES {
            let audit = self.try_audit();
            if let Ok(audit) = audit {
                return audit;
            }
            // A thread is about to give back what its last handle held.
            std::thread::yield_now();
        }
        self.try_audit().unwrap_or_else(|audit| audit)
    }

    /// `Err` if a stream is being dropped, so that its bytes are counted and
    /// cannot be seen.
    fn try_audit(&self) -> Result<Audit, Audit> {
        let list = self.0.streams();
        let streams: Vec<Arc<Stream>> = list.values().filter_map(Weak::upgrade).collect();
        let is_exact = streams.len() == list.len();
        let cores: Vec<MutexGuard<'_, _>> =
            streams.iter().map(|stream| lock(stream.core())).collect();
        let counted = self.0.meter.used();
        let leased = cores.iter().map(|core| core.leased()).sum::<u64>();
        let held = cores.iter().map(|core| core.used()).sum();
        drop(cores);
        // Only without the lock may the last handle of a stream be dropped.
        drop(list);
        let audit = Audit {
            counted,
            leased,
            held,
            streams: streams.len() as u64,
            without_owner: counted.wrapping_sub(leased).cast_signed(),
        };
        if is_exact { Ok(audit) } else { Err(audit) }
    }

    /// The streams that have stood still for longer than `older_than`: without a
    /// reader, with one that does not read what there is or let go of what it has,
    /// or with permits that nobody used.
    #[must_use]
    pub fn leaks(&self, older_than: Duration) -> LeakReport {
        self.0.now_ms();
        let streams = self.0.all().into_iter();
        let mut found: Vec<Leak> = streams
            .map(|stream| describe(&stream))
            .filter(|leak| leak.stood_still > older_than)
            .collect();
        found.sort_unstable_by_key(|leak| (u64::MAX - leak.bytes_held, leak.stream));
        LeakReport {
            streams: found,
            audit: self.audit(),
        }
    }
}

fn describe(stream: &Stream) -> Leak {
    let summary = stream.summary();
    let age_ms = stream.hub.coarse_ms().saturating_sub(stream.created_ms);
    Leak {
        stream: stream.number,
        created_at: stream.created_at.to_string(),
        age: Duration::from_millis(age_ms),
        stood_still: stream.stood_still(&summary),
        has_reader: summary.attached,
        writers: summary.writers,
        bytes_held: summary.used,
        end: summary.end,
    }
}
