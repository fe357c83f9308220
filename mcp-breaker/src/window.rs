//! What a closed breaker remembers of its calls.
//!
//! Every cell carries the number of the life that wrote it, so that ending a
//! life costs nothing and a thread that stalls in the middle of a write cannot
//! mark the next life: it finds a newer tag and gives up.

mod cell;
mod count;
mod time;

pub(crate) use cell::LifeCell;
pub(crate) use count::CountRing;
pub(crate) use time::{Field, TimeRing};

use crate::trip::Tally;

/// What the windows want to know of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grade {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// The window that the configuration chose.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per breaker, and a box would cost each call"
)]
pub(crate) enum Window {
    Count(CountRing),
    Time(TimeRing),
}

impl Window {
    /// Notes a result; `false` when the life had ended meanwhile.
    #[inline]
    pub(crate) fn record(&self, life: u32, grade: Grade, now_ns: u64) -> bool {
        match self {
            Self::Count(ring) => ring.record(life, grade),
            Self::Time(ring) => ring.record(life, grade, now_ns),
        }
    }

    pub(crate) fn tally(&self, life: u32, now_ns: u64) -> Tally {
        match self {
            Self::Count(ring) => ring.tally(life),
            Self::Time(ring) => ring.tally(life, now_ns),
        }
    }

    /// Results noted over all lives.
    pub(crate) fn recorded(&self) -> u64 {
        match self {
            Self::Count(ring) => ring.recorded(),
            Self::Time(ring) => ring.recorded(),
        }
    }

    /// Empties the window for a new closed life; called before that life is
    /// published.
    pub(crate) fn begin(&self, life: u32) {
        match self {
            Self::Count(ring) => ring.begin(life),
            // Its tags hold the life's number: older cells read as empty.
            Self::Time(_) => {}
        }
    }
}

#[cfg(all(test, mcp_loom))]
mod loom_models;
#[cfg(all(test, not(mcp_loom)))]
mod tests;
