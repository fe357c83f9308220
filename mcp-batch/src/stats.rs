//! Counters pulled as one snapshot, and the record of each batch.

use crate::histogram::Histogram;
use serde::Serialize;
use std::{collections::VecDeque, time::Duration};

/// A processor's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Items taken into the queue, since the start.
    pub submitted: u64,
    /// Batches that ended, whatever came of them.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
    /// Batches whose function panicked.
    pub panicked: u64,
    /// Batches with a wrong number of results.
    pub miscounted: u64,
    /// Items that were answered by the result of an equal one of their batch.
    pub deduplicated: u64,
    /// Items refused because the queue was full.
    pub overloaded: u64,
    /// Items that gave their place to a newer one.
    pub shed: u64,
    /// Items skipped because nobody waited for them any more.
    pub cancelled: u64,
    /// Items that wait now.
    pub queued: usize,
    /// Batches that run now.
    pub running: usize,
    /// The size aimed at now.
    pub target: usize,
    /// The fixed cost of a batch by the running fit; `None` while no line fits.
    pub batch_cost: Option<Duration>,
    /// The cost of each further item by the running fit.
    pub item_cost: Option<Duration>,
    /// Batches by size: the items that the function was given.
    pub sizes: Histogram,
    /// Items by how long they waited until their batch took them.
    pub waits: Histogram,
    /// Batches by how long the function ran.
    pub runs: Histogram,
}

/// What is counted under the lock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) submitted: u64,
    pub(crate) batches: u64,
    pub(crate) items: u64,
    pub(crate) panicked: u64,
    pub(crate) miscounted: u64,
    pub(crate) deduplicated: u64,
    pub(crate) shed: u64,
    pub(crate) cancelled: u64,
    pub(crate) sizes: Histogram,
    pub(crate) waits: Histogram,
    pub(crate) runs: Histogram,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// Each item has its own result.
    Answered,
    /// The function panicked.
    Panicked,
    /// The number of results was wrong.
    Miscounted,
}

/// One finished batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchRecord {
    /// Items in it.
    pub size: usize,
    /// Items that waited behind it when it started.
    pub left: usize,
    /// How long its oldest item had waited.
    pub waited: Duration,
    /// How long the function ran.
    pub ran: Duration,
    /// The size aimed at when it ended.
    pub target: usize,
    /// How it ended.
    pub ending: Ending,
}

/// The last batches, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    records: VecDeque<BatchRecord>,
    len_max: usize,
}

impl History {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            records: VecDeque::new(),
            len_max,
        }
    }

    pub(crate) fn push(&mut self, record: BatchRecord) {
        if self.len_max == 0 {
            return;
        }
        if self.records.len() == self.len_max {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub(crate) fn to_vec(&self) -> Vec<BatchRecord> {
        self.records.iter().copied().collect()
    }
}
