//! Counters pulled as snapshots.

use crate::{EndReason, EventId};
use serde::Serialize;
use std::{sync::atomic::AtomicU64, time::Duration};

/// A budget's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that all streams may hold together.
    pub bytes_max: u64,
    /// Bytes leased to streams now: what they hold, and parts of chunks that
    /// they have not used yet.
    pub bytes_leased: u64,
    /// The most bytes that were leased at once.
    pub bytes_leased_peak: u64,
    /// Streams that exist now.
    pub streams: u64,
    /// How often the use crossed the high watermark.
    pub warnings: u64,
    /// Bytes of histories and unused leases that were given up for others.
    pub shed_bytes: u64,
    /// Streams that were ended to free memory for others.
    pub ended_stalled: u64,
    /// Streams that were ended because their reader did not keep up.
    pub ended_slow: u64,
    /// Streams that were ended because nobody used them.
    pub ended_idle: u64,
    /// Whether writers wait for the budget now.
    pub is_waited_for: bool,
    /// Entries of the timer wheel: streams outside of sessions with a time
    /// limit, and sessions.
    pub timers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) shed_bytes: AtomicU64,
    pub(crate) ended_stalled: AtomicU64,
    pub(crate) ended_slow: AtomicU64,
    pub(crate) ended_idle: AtomicU64,
}

/// One stream's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The id that the next event will have.
    pub next_id: EventId,
    /// Bytes of events and permits, with what each event weighs besides its
    /// payload.
    pub bytes_held: u64,
    /// Bytes taken from the budget; at least `bytes_held`.
    pub bytes_leased: u64,
    /// Bytes of events that were read and are kept for replay.
    pub bytes_history: u64,
    /// Events that wait to be read.
    pub unread: u64,
    /// Events that took the place of an unread one.
    pub coalesced: u64,
    /// Unread events that made room for newer ones.
    pub dropped: u64,
    /// Whether there is a reader.
    pub has_reader: bool,
    /// Handles to write.
    pub writers: u32,
    /// Whether and why the stream ended.
    pub end: Option<EndReason>,
    /// For how long its reader has not moved although there is something to
    /// read or in its hands, there has been no reader, or permits have kept room;
    /// to a quarter of a second.
    pub stood_still: Duration,
}
