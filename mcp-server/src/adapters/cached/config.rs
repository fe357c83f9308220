//! How the memory cache runs.

use std::{num::NonZeroU64, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SharedConfig;

/// Configuration of the cache in front of the memory store. What is in it is never stale, whoever
/// writes to the database; the settings decide what it costs and how often it is of use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Whether there is a cache at all. Default true.
    pub enabled: bool,
    /// The most bytes of answers and overhead. Default 256 MiB.
    pub bytes_max: NonZeroU64,
    /// The most memories and searches; whichever bound is met first counts. Default 10,000.
    pub entries_max: NonZeroU64,
    /// How long an answer is kept at most. Default 5 min. Raising it saves searches, and lets the
    /// ranking of a kept one drift for longer.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub ttl: Duration,
    /// So many more matches than asked for are kept with a search, to take the places of those that
    /// are changed or deleted. Default 10. More make a first search dearer and last longer.
    pub spare_matches: u32,
    /// A kept search is ranked by the word counts of its time, new matches included. It is run
    /// again once the weights of its words have moved against each other by more than this share.
    /// Default 0.05; 0 runs it again whenever any has moved.
    pub drift_max: f64,
    /// The most bytes of recent changes that are held to bring kept searches up to date. A search
    /// that was kept before the oldest of them is run again. Default 32 MiB, about 10,000 changes
    /// of 250 bytes.
    pub changes_bytes_max: usize,
    /// How long a read waits for the changes that it has to see; then it goes past the cache.
    /// Default 50 ms. Longer saves searches where the database is slow, and lets reads wait there.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub follow_timeout: Duration,
    /// What servers on one PostgreSQL database share by Redis.
    pub redis: SharedConfig,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            bytes_max: NonZeroU64::new(256 * 1024 * 1024).expect("256 MiB is not zero"),
            entries_max: NonZeroU64::new(10_000).expect("10,000 is not zero"),
            ttl: Duration::from_secs(300),
            spare_matches: 10,
            drift_max: 0.05,
            changes_bytes_max: 32 * 1024 * 1024,
            follow_timeout: Duration::from_millis(50),
            redis: SharedConfig::default(),
        }
    }
}

impl CacheConfig {
    /// What the cache is told. Time to live is exact: what was kept together is not asked together.
    pub(super) fn cache(&self) -> mcp_cache::Config {
        mcp_cache::Config {
            bytes_max: Some(self.bytes_max),
            entries_max: Some(self.entries_max),
            default_class: mcp_cache::ClassConfig {
                ttl: Some(self.ttl),
                jitter: 0.0,
                ..mcp_cache::ClassConfig::default()
            },
            ..mcp_cache::Config::default()
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), mcp_cache::ConfigError> {
        let refused = |field, reason| Err(mcp_cache::ConfigError { field, reason });
        if !(0.0..=1.0).contains(&self.drift_max) {
            return refused("drift_max", "must be from 0 to 1");
        }
        if self.spare_matches > 1_000 {
            return refused("spare_matches", "must be at most 1000");
        }
        self.cache().validate()
    }
}
