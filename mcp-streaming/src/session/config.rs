//! What a registry of sessions can be told.

use crate::{
    ConfigError, StreamConfig,
    config::{check, check_bytes, check_time},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most sessions, and the most streams of one.
const COUNT_MAX: usize = 1 << 24;

/// What [`Sessions`](crate::Sessions) can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// Bytes that the streams of one session may hold together. Default 4 MiB.
    pub bytes_max: u64,
    /// What each stream of a session can be told; its `idle_timeout` means
    /// nothing here. Streams that nobody reads take at most their own
    /// `bytes_max` from their session, so keep that well below the session's.
    pub stream: StreamConfig,
    /// Streams of one session. Default 32. Streams that have ended make room.
    pub streams_max: usize,
    /// Sessions in all. Default 10,000. Beyond that, the session that was not
    /// used for longest makes room.
    pub sessions_max: usize,
    /// Sessions of one owner. Default 100. Beyond that, the owner's own session
    /// that was not used for longest makes room.
    pub sessions_per_owner_max: usize,
    /// A session that was initialized and used this recently does not make room
    /// for a new one, which is refused instead. Default `1min`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub busy_for: Duration,
    /// How long a session may stay without
    /// [`initialized`](crate::StreamingSession::initialized). Default `1min`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub init_timeout: Duration,
    /// How long a session may stay unused: no look-up, and no reader that
    /// reads. Default `5min`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle_timeout: Duration,
    /// How old a session may get; `None` is any age. Default `24h`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub life_time: Option<Duration>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            stream: StreamConfig::default(),
            streams_max: 32,
            sessions_max: 10_000,
            sessions_per_owner_max: 100,
            busy_for: Duration::from_secs(60),
            init_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            life_time: Some(Duration::from_secs(24 * 3600)),
        }
    }
}

impl SessionConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_bytes(self.bytes_max, "bytes_max")?;
        self.stream.validate()?;
        check(
            self.stream.bytes_max <= self.bytes_max,
            "stream.bytes_max",
            "must be at most the session's bytes_max",
        )?;
        let counts = [
            (self.streams_max, "streams_max"),
            (self.sessions_max, "sessions_max"),
            (self.sessions_per_owner_max, "sessions_per_owner_max"),
        ];
        for (count, field) in counts {
            check(count >= 1, field, "must be at least 1")?;
            check(count <= COUNT_MAX, field, "must be at most 16777216")?;
        }
        check_time(self.init_timeout, "init_timeout")?;
        check_time(self.idle_timeout, "idle_timeout")?;
        check(
            self.busy_for <= self.idle_timeout,
            "busy_for",
            "must be at most idle_timeout",
        )?;
        self.life_time
            .map_or(Ok(()), |limit| check_time(limit, "life_time"))
    }
}
