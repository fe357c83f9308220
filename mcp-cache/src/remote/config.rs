//! What a second tier can be told.

use crate::{
    ClockKind, CompressConfig, SPAN_MAX,
    error::{ConfigError, check},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a process uses the second tier that it shares with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteConfig {
    /// How long a look into the second tier may take, the check of its answer
    /// included; then the value is loaded. Default `20ms`. Raising it makes
    /// callers wait longer for a store that hangs.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub deadline: Duration,
    /// How long the first tier is served after it was known last that no
    /// invalidation of another process is missing. Default `2s`; `None` says that
    /// no other process invalidates anything. Raising it rides out longer
    /// interruptions and lets other processes' invalidations be missed for longer.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub lease: Option<Duration>,
    /// How long values are kept in the second tier that bring no time to live of
    /// their own, and the most for those that do. Default `1h`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub ttl: Duration,
    /// The largest value that goes to the second tier. Default 1 MiB. Raising it
    /// lets one value hold up those behind it on its connection for longer.
    pub value_bytes_max: usize,
    /// What is compressed, and how.
    pub compress: CompressConfig,
    /// Invalidations that wait for the store; when there are more, everything in
    /// the second tier that is older is given up instead. Default 4,096.
    pub pending_max: usize,
    /// Values that wait to be stored; further ones are dropped. Default 1,024.
    pub writes_max: usize,
    /// The bytes of those values. Default 16 MiB. Raising it stores more of a burst,
    /// and takes that much memory while the store is slow.
    pub writes_bytes_max: usize,
    /// Which clock the caches of this tier read.
    pub clock: ClockKind,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(20),
            lease: Some(Duration::from_secs(2)),
            ttl: Duration::from_secs(3_600),
            value_bytes_max: 1 << 20,
            compress: CompressConfig::default(),
            pending_max: 4_096,
            writes_max: 1_024,
            writes_bytes_max: 16 << 20,
            clock: ClockKind::default(),
        }
    }
}

impl RemoteConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let lease = self.lease.unwrap_or(Duration::from_secs(1));
        check(
            (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&self.deadline),
            "deadline",
            "must be from 1ms to 60s",
        )?;
        check(
            (Duration::from_millis(20)..=Duration::from_secs(3_600)).contains(&lease),
            "lease",
            "must be from 20ms to 1h",
        )?;
        check(
            (Duration::from_millis(1)..=SPAN_MAX).contains(&self.ttl),
            "ttl",
            "must be from 1ms to 30 days",
        )?;
        check(
            (1..=512 << 20).contains(&self.value_bytes_max),
            "value_bytes_max",
            "must be from 1 to 536870912",
        )?;
        check(
            (self.value_bytes_max..=4 << 30).contains(&self.writes_bytes_max),
            "writes_bytes_max",
            "must be from value_bytes_max to 4294967296",
        )?;
        let counts = [
            (self.pending_max, "pending_max"),
            (self.writes_max, "writes_max"),
        ];
        for (count, field) in counts {
            check(
                (1..=1 << 20).contains(&count),
                field,
                "must be from 1 to 1048576",
            )?;
        }
        self.compress.validate()
    }
}
