//! What a budget and its streams can be told, and the check that it makes sense.

use crate::error::ConfigError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest budget: 1 TiB.
pub const BUDGET_BYTES_MAX: u64 = 1 << 40;
/// The longest time limit: a year.
pub const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// What an event weighs besides its payload and key: its slot in a ring that
/// may be a quarter full, and the header of its buffer.
pub const EVENT_OVERHEAD_BYTES: u64 = 128;

/// What a [`Budget`](crate::Budget) can be told: the bound on all its streams
/// together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// Bytes that all streams may hold together, unread events and replay
    /// history. Default 256 MiB. Raising it costs as much memory.
    pub bytes_max: u64,
    /// The share of a limit (this one, and each session's) at which it warns
    /// once and histories of idle streams are shed. Default 0.9.
    pub high_watermark: f64,
    /// The share below which the next warning is armed again, and down to which
    /// histories are shed. Default 0.8.
    pub low_watermark: f64,
    /// How long writers may find the budget, or their session, full before the
    /// stalled stream whose end frees most is ended. Default `5s`. Raising it spares slow readers and
    /// makes everybody else wait.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub stall_timeout: Duration,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            high_watermark: 0.9,
            low_watermark: 0.8,
            stall_timeout: Duration::from_secs(5),
        }
    }
}

impl BudgetConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_bytes(self.bytes_max, "bytes_max")?;
        check(
            self.high_watermark > 0.0 && self.high_watermark <= 1.0,
            "high_watermark",
            "must be above 0 and at most 1",
        )?;
        check(
            // Of the smallest limit that is still a byte, which a use can be below.
            self.low_watermark >= 0.001 && self.low_watermark <= self.high_watermark,
            "low_watermark",
            "must be at least 0.001 and at most high_watermark",
        )?;
        check_time(self.stall_timeout, "stall_timeout")
    }
}

/// What one stream can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Bytes that the stream may hold, unread events and history together.
    /// Default 1 MiB. An event that weighs more is refused. Raising it lets one
    /// slow reader hold more.
    pub bytes_max: u64,
    /// Bytes of read events that are kept for a reader that comes back; at most
    /// `bytes_max`. Default 256 KiB. They make room for new events at any time.
    /// With 0 nothing can be resumed, and the stream ends with its reader.
    pub replay_bytes_max: u64,
    /// What happens when unread events fill the stream. Default: the writer
    /// waits for up to 30 s.
    pub slow_consumer: SlowConsumer,
    /// How long a stream outside of a session may stay without a reader before
    /// it is ended; `None` is for ever. Default `5min`. A stream of a session
    /// lives by the session's limits.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub idle_timeout: Option<Duration>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 20,
            replay_bytes_max: 256 << 10,
            slow_consumer: SlowConsumer::default(),
            idle_timeout: Some(Duration::from_secs(300)),
        }
    }
}

/// What happens when the unread events of a stream leave no room for the next
/// one. Its history made room before. Whatever happens, the writer, the reader
/// or both are told: a stream is never silently partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The writer waits for room, in the order of arrival, and gets
    /// [`SendError::Stalled`](crate::SendError::Stalled) after `at_most`.
    Wait {
        /// How long.
        #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
        at_most: Duration,
    },
    /// The oldest events make room, unread ones too; the reader gets
    /// [`Event::Gap`](crate::Event::Gap) in their place.
    #[serde(with = "no_fields")]
    DropHistory,
    /// An event with a key takes the place of the unread event with that key;
    /// what finds none waits as under `Wait`. For events that only say that
    /// something changed.
    Coalesce {
        /// How long what finds no place waits.
        #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
        at_most: Duration,
    },
    /// The stream ends: the reader gets
    /// [`EndReason::SlowConsumer`](crate::EndReason::SlowConsumer), the writer
    /// an error.
    #[serde(with = "no_fields")]
    Disconnect,
}

/// Of a policy that has none: a field is a mistake here as anywhere else, which
/// serde overlooks in a variant without fields.
mod no_fields {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct None {}

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        None {}.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        None::deserialize(deserializer).map(drop)
    }
}

impl Default for SlowConsumer {
    fn default() -> Self {
        Self::Wait {
            at_most: Duration::from_secs(30),
        }
    }
}

impl StreamConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_bytes(self.bytes_max, "bytes_max")?;
        check(
            self.replay_bytes_max <= self.bytes_max,
            "replay_bytes_max",
            "must be at most bytes_max",
        )?;
        if let SlowConsumer::Wait { at_most } | SlowConsumer::Coalesce { at_most } =
            self.slow_consumer
        {
            check_time(at_most, "slow_consumer.at_most")?;
        }
        self.idle_timeout
            .map_or(Ok(()), |limit| check_time(limit, "idle_timeout"))
    }
}

pub(crate) fn check_bytes(bytes: u64, field: &'static str) -> Result<(), ConfigError> {
    check(bytes >= 1024, field, "must be at least 1024")?;
    check(bytes <= BUDGET_BYTES_MAX, field, "must be at most 1 TiB")
}

pub(crate) fn check_time(time: Duration, field: &'static str) -> Result<(), ConfigError> {
    check(time > Duration::ZERO, field, "must be above 0")?;
    check(time <= TIME_MAX, field, "must be at most a year")
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, reason })
    }
}
