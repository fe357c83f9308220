//! How the search index runs.

use std::{num::NonZeroU32, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the search index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IndexConfig {
    /// So many changes are moved from memory to disk at once, sooner when nothing is written for a
    /// while. Default 1,000. More makes writing the index cheaper and searches slower.
    pub commit_len: NonZeroU32,
    /// How often the index looks for changes, also those of other processes. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// The most changes that are held in memory, about 2 KiB each for a text of 250 bytes; while
    /// the index is further behind, a search is refused with an error that says so. Default 20,000.
    pub lag_max: NonZeroU32,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            commit_len: NonZeroU32::new(1_000).expect("1,000 is not zero"),
            interval: Duration::from_secs(1),
            lag_max: NonZeroU32::new(20_000).expect("20,000 is not zero"),
        }
    }
}
