//! The bound on all streams together.

use crate::{
    BudgetConfig, ConfigError, EventId, Observer, ResourceExhausted, Rx, Scope, Stats,
    StreamConfig, Tx,
    config::check,
    hub::Hub,
    stream::{Birth, Stream},
};
use std::{
    panic::Location,
    sync::{Arc, atomic::Ordering},
};

/// What stores can keep as a number.
const SEQ_MAX: u64 = 1 << 53;

/// A bound on the bytes of many streams. Clones are handles of the same budget.
///
/// One task keeps its clock and its time limits; it ends with the last handle,
/// stream and session.
#[derive(Debug, Clone)]
pub struct Budget(pub(crate) Arc<Hub>);

impl Budget {
    /// A budget whose keeper runs on the current tokio runtime.
    ///
    /// # Errors
    /// A field of the configuration makes no sense, there is no runtime (the
    /// field is then `runtime`), or no randomness (`random`).
    pub fn new(config: &BudgetConfig) -> Result<Self, ConfigError> {
        Hub::new(config.clone(), None).map(Self)
    }

    /// Like [`new`](Self::new), and tells `observer` what happens.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_observer(
        config: &BudgetConfig,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConfigError> {
        Hub::new(config.clone(), Some(observer)).map(Self)
    }

    /// Makes a stream. It remembers where it was made, for
    /// [`leaks`](Self::leaks).
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    #[track_caller]
    pub fn stream(&self, config: &StreamConfig) -> Result<(Tx, Rx), ConfigError> {
        self.make(config, None)
    }

    /// Makes a stream that goes on behind an event of one that was begun
    /// elsewhere: its events have the ids that they would have had there.
    ///
    /// # Errors
    /// As [`stream`](Self::stream); the event's number is 2^53 or more, which no
    /// stream reaches (`last`).
    #[track_caller]
    pub fn stream_behind(
        &self,
        config: &StreamConfig,
        last: &EventId,
    ) -> Result<(Tx, Rx), ConfigError> {
        self.make(config, Some(*last))
    }

    #[track_caller]
    fn make(&self, config: &StreamConfig, last: Option<EventId>) -> Result<(Tx, Rx), ConfigError> {
        config.validate()?;
        let seq = last.map_or(0, |last| last.seq);
        check(seq < SEQ_MAX, "last", "must have a number below 2^53")?;
        let birth = Birth {
            session: None,
            origin: last.map(|last| last.origin),
            first_id: seq + 1,
            created_at: Location::caller(),
        };
        let stream = Stream::new(&self.0, &Arc::new(*config), birth);
        Ok((Tx::first(&stream), Rx::first(stream)))
    }

    /// Whether there is room left.
    ///
    /// # Errors
    /// All bytes are leased.
    pub fn check_memory_limit(&self) -> Result<(), ResourceExhausted> {
        let (used, limit) = (self.0.meter.used(), self.0.meter.marks().limit);
        if used < limit {
            return Ok(());
        }
        Err(ResourceExhausted {
            scope: Scope::Budget,
            used,
            limit,
        })
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (meter, counters) = (&self.0.meter, &self.0.counters);
        Stats {
            bytes_max: meter.marks().limit,
            bytes_leased: meter.used(),
            bytes_leased_peak: meter.peak(),
            streams: meter.streams(),
            warnings: meter.warnings(),
            shed_bytes: counters.shed_bytes.load(Ordering::Relaxed),
            ended_stalled: counters.ended_stalled.load(Ordering::Relaxed),
            ended_slow: counters.ended_slow.load(Ordering::Relaxed),
            ended_idle: counters.ended_idle.load(Ordering::Relaxed),
            is_waited_for: meter.is_waited_for(),
            timers: self.0.timers(),
        }
    }
}
