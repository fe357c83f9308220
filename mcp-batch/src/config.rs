//! What a processor can be told, and the check that it makes sense.

use crate::{error::ConfigError, sizer::SizerRules};
use serde::{Deserialize, Serialize};
use std::{num::NonZero, thread, time::Duration};

/// The largest batch.
pub const BATCH_SIZE_MAX: usize = 65_536;
/// The most batches at once.
pub const CONCURRENT_BATCHES_MAX: usize = 4_096;
/// The longest queue.
pub const QUEUE_LEN_MAX: usize = 1 << 24;
/// The longest window and latency goal: an hour.
pub const WINDOW_MAX: Duration = Duration::from_secs(3600);

/// Everything a [`BatchProcessor`](crate::BatchProcessor) can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most items of one batch. Default 50. Raising it spends less per item
    /// and makes the first item of a batch wait for the last.
    pub max_batch_size: usize,
    /// The most batches at work at once. Default: the number of cores. Raising
    /// it helps a function that waits; one that computes only gets slower.
    pub max_concurrent_batches: usize,
    /// How long an item may wait for company while a slot is free: a ceiling,
    /// never a wait of a lone item. Default `50ms`. It counts from when the item
    /// could first have started.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub window: Duration,
    /// How often a batch that has a slot and is not full lets other tasks run
    /// before it takes its items, as long as each time brings more of them.
    /// Default 8. Raising it fills the batches of callers that come one after
    /// the other; lowering it starts them sooner. 0 takes what is there.
    pub gather_passes_max: u32,
    /// Items that may wait to be started, of all lanes together: lanes take turns
    /// at being started, not at being let in. Default 1,000. Raising it turns
    /// refusals into latency.
    pub queue_len_max: usize,
    /// The most bytes of one batch, by the weight that
    /// [`Builder::weigh_by`](crate::Builder::weigh_by) gives; `None` (the
    /// default) is no limit. A single heavier item makes a batch of its own.
    pub batch_bytes_max: Option<u64>,
    /// What happens to an item that finds the queue full. Default: it is refused.
    pub overflow: Overflow,
    /// Whether the size to aim at follows the measured cost. Default true;
    /// otherwise it is always `max_batch_size`.
    pub adaptive_sizing: bool,
    /// What one batch should take at most; `None` (the default) is no goal.
    /// Needs `adaptive_sizing`. Lowering it makes batches smaller.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub latency_goal: Option<Duration>,
    /// Finished batches that
    /// [`performance_history`](crate::BatchProcessor::performance_history)
    /// keeps. Default 128; each one costs about 64 bytes.
    pub history_len: usize,
}

impl Default for Config {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            max_batch_size: 50,
            max_concurrent_batches: cores.min(CONCURRENT_BATCHES_MAX),
            window: Duration::from_millis(50),
            gather_passes_max: 8,
            queue_len_max: 1_000,
            batch_bytes_max: None,
            overflow: Overflow::Reject,
            adaptive_sizing: true,
            latency_goal: None,
            history_len: 128,
        }
    }
}

/// What happens to an item that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overflow {
    /// It is refused at once.
    #[default]
    Reject,
    /// It waits for room, in the order of arrival.
    Wait,
    /// It takes the place of the item that has waited longest, which is
    /// answered [`Error::Shed`](crate::Error::Shed). Finding it looks at the
    /// first item of every lane.
    ShedOldest,
}

impl Config {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_range(self.max_batch_size, BATCH_SIZE_MAX, "max_batch_size")?;
        check_range(
            self.max_concurrent_batches,
            CONCURRENT_BATCHES_MAX,
            "max_concurrent_batches",
        )?;
        check(
            self.gather_passes_max <= 1_000,
            "gather_passes_max",
            "must be at most 1000",
        )?;
        check_range(self.queue_len_max, QUEUE_LEN_MAX, "queue_len_max")?;
        check(self.window <= WINDOW_MAX, "window", "must be at most 1h")?;
        check(
            self.batch_bytes_max != Some(0),
            "batch_bytes_max",
            "must be at least 1",
        )?;
        check(
            self.history_len <= 1 << 20,
            "history_len",
            "must be at most 1048576",
        )?;
        let Some(goal) = self.latency_goal else {
            return Ok(());
        };
        check(
            self.adaptive_sizing,
            "latency_goal",
            "has no effect without adaptive_sizing",
        )?;
        check(
            goal > Duration::ZERO && goal <= WINDOW_MAX,
            "latency_goal",
            "must be above 0 and at most 1h",
        )
    }

    pub(crate) fn sizer_rules(&self) -> SizerRules {
        SizerRules {
            max: self.max_batch_size,
            adaptive: self.adaptive_sizing,
            goal_ns: self.latency_goal.map(|goal| goal.as_secs_f64() * 1e9),
        }
    }
}

fn check_range(value: usize, max: usize, field: &'static str) -> Result<(), ConfigError> {
    check(value >= 1, field, "must be at least 1")?;
    let reason = match max {
        BATCH_SIZE_MAX => "must be at most 65536",
        CONCURRENT_BATCHES_MAX => "must be at most 4096",
        _ => "must be at most 16777216",
    };
    check(value <= max, field, reason)
}

fn check(holds: bool, field: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, reason })
    }
}
