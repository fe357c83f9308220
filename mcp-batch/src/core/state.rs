//! What is behind the lock, and the parts of a step.

use super::{Batch, Ended, Item, Limits, Todo};
use crate::{
    epochs::Epochs,
    lanes::Lanes,
    rule::{Load, share, wanted},
    sizer::Sizer,
    slot::Unanswered,
    stats::{Counters, Ending, History},
};

pub(super) struct State<T, R: Unanswered> {
    pub(super) queue: Lanes<Item<T, R>>,
    pub(super) bytes: u64,
    /// Batches at work, and their items.
    pub(super) running: usize,
    pub(super) running_items: usize,
    /// Runners that hold a slot and have not taken their items yet.
    pub(super) gathering: usize,
    /// When a slot was last free after none was.
    pub(super) free_since_ns: u64,
    pub(super) watched: bool,
    pub(super) closed: bool,
    pub(super) flushing: Option<u64>,
    pub(super) epochs: Epochs,
    pub(super) sizer: Sizer,
    pub(super) history: History,
    pub(super) counters: Counters,
}

impl<T, R: Unanswered> State<T, R> {
    pub(super) fn new(sizer: Sizer, history: History) -> Self {
        Self {
            queue: Lanes::new(),
            bytes: 0,
            running: 0,
            running_items: 0,
            gathering: 0,
            free_since_ns: 0,
            watched: false,
            closed: false,
            flushing: None,
            epochs: Epochs::new(),
            sizer,
            history,
            counters: Counters::default(),
        }
    }

    /// Starts what the rule wants; sets the timer if something is left to wait
    /// although a slot is free.
    pub(super) fn evaluate(&mut self, limits: &Limits, lane: usize, now_ns: u64) -> Todo {
        let load = Load {
            queued: self.queue.len(),
            lane,
            lanes: self.queue.lanes(),
            running: self.running,
            running_items: self.running_items,
            slots: limits.slots,
            target: self.sizer.target(),
            ripe: self.is_urgent(limits),
        };
        let starts = wanted(&load).saturating_sub(self.gathering);
        self.gathering += starts;
        let waits = load.queued > 0 && self.gathering == 0 && self.running < limits.slots;
        let watch = waits && !self.watched;
        self.watched |= watch;
        Todo {
            starts,
            watch_at_ns: watch.then(|| now_ns.saturating_add(limits.window_ns)),
            settled: false,
        }
    }

    pub(super) fn is_urgent(&self, limits: &Limits) -> bool {
        self.closed
            || self.flushing.is_some()
            || limits.bytes_max.is_some_and(|max| self.bytes >= max)
    }

    /// The first items of the lane whose turn it is, without those whose
    /// callers went away.
    pub(super) fn take(&mut self, limits: &Limits) -> Batch<T, R> {
        let free = limits.slots.saturating_sub(self.running + self.gathering);
        let cap = self.sizer.cap();
        let lane_len = self.queue.next_len();
        let size = share(lane_len, free + self.gathering, cap);
        let bytes_max = limits.bytes_max.unwrap_or(u64::MAX);
        let (mut count, mut bytes) = (0, 0u64);
        let mut taken = Vec::with_capacity(size);
        let keep_on = |item: &Item<T, R>| {
            if item.reply.is_abandoned() {
                return true;
            }
            let fits =
                count == 0 || (count < size && bytes.saturating_add(item.bytes) <= bytes_max);
            if fits {
                count += 1;
                bytes = bytes.saturating_add(item.bytes);
            }
            fits
        };
        self.queue.take(keep_on, &mut taken);
        self.bytes -= taken.iter().map(|item| item.bytes).sum::<u64>();
        let skipped = skip_abandoned(&mut taken);
        self.counters.cancelled += skipped.len() as u64;
        Batch {
            items: taken,
            skipped,
            left: self.queue.len(),
        }
    }

    pub(super) fn leave(&mut self, epoch: u64) -> bool {
        let ended = self.epochs.leave(epoch);
        if ended
            && self
                .flushing
                .is_some_and(|epoch| self.epochs.is_over(epoch))
        {
            self.flushing = None;
        }
        ended
    }

    pub(super) fn count(&mut self, ended: &Ended) {
        let counters = &mut self.counters;
        counters.batches += u64::from(ended.given > 0);
        counters.items += ended.answered as u64;
        counters.deduplicated += (ended.answered - ended.given) as u64;
        counters.panicked += u64::from(ended.ending == Ending::Panicked);
        counters.miscounted += u64::from(ended.ending == Ending::Miscounted);
    }
}

/// Usually there are none, and nothing is moved or allocated.
fn skip_abandoned<T, R: Unanswered>(items: &mut Vec<Item<T, R>>) -> Vec<Item<T, R>> {
    items
        .extract_if(.., |item| item.reply.is_abandoned())
        .collect()
}
