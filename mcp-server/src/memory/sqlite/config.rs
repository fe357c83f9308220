//! How the embedded store runs.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::memory::search::IndexConfig;

/// Configuration of the embedded store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteConfig {
    /// Connections that read, each with a thread; they are opened as they are needed. Default 4. A
    /// quarter of them, rounded down, is kept for each kind of client, so that none has to wait for
    /// the others. More readers answer more searches at once and cost a few MiB of page cache each.
    pub readers: NonZeroUsize,
    /// The most operations that wait for the writer, and for the readers; one more is refused at
    /// once. Default 1,000.
    pub queue_len_max: NonZeroUsize,
    /// The most stored text that one answer holds, in bytes; a search stops there and says so.
    /// Default 4 MiB. On the wire an answer is several times as large: texts stand in it twice,
    /// escaped.
    pub answer_bytes_max: NonZeroUsize,
    /// How long a write waits for another process that holds the database. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub busy_timeout: Duration,
    /// The search index.
    pub index: IndexConfig,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            readers: NonZeroUsize::new(4).expect("4 is not zero"),
            queue_len_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
            answer_bytes_max: NonZeroUsize::new(4 * 1024 * 1024).expect("4 MiB is not zero"),
            busy_timeout: Duration::from_secs(5),
            index: IndexConfig::default(),
        }
    }
}
