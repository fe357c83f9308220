//! What is behind the lock, and the parts of a step.

use super::{Batch, Ended, Gather, Item, Limits, Todo};
use crate::{
    epochs::Epochs,
    lanes::Lanes,
    rule::{Load, share, wanted},
    sizer::Sizer,
    slot::Unanswered,
    stats::{Counters, Ending, History},
};
use std::time::Duration;

pub(super) struct State<T, R: Unanswered> {
    pub(super) queue: Lanes<Item<T, R>>,
    /// Their weights: in 128 bits no sum of them overflows.
    pub(super) bytes: u128,
    /// Batches at work, and their items.
    pub(super) running: usize,
    pub(super) running_items: usize,
    /// Runners that hold a slot and have not taken their items yet.
    pub(super) gathering: usize,
    pub(super) watched: bool,
    pub(super) closed: bool,
    pub(super) flush: Option<Flush>,
    /// Calls of [`sweep`](super::Core::sweep), and how many items and calls had
    /// come at the last one that looked.
    pub(super) refusals: u64,
    pub(super) swept_at: u64,
    pub(super) epochs: Epochs,
    pub(super) sizer: Sizer,
    pub(super) history: History,
    pub(super) counters: Counters,
}

/// A flush that still has something to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flush {
    pub(super) epoch: u64,
    /// Items up to the epoch that wait to be started.
    pub(super) waiting: usize,
}

impl<T, R: Unanswered> State<T, R> {
    pub(super) fn new(sizer: Sizer, history: History) -> Self {
        Self {
            queue: Lanes::new(),
            bytes: 0,
            running: 0,
            running_items: 0,
            gathering: 0,
            watched: false,
            closed: false,
            flush: None,
            refusals: 0,
            swept_at: 0,
            epochs: Epochs::new(),
            sizer,
            history,
            counters: Counters::default(),
        }
    }

    /// Starts what the rule wants; sets the timer if something is left to wait
    /// although a slot is free. `look` is whether a lane may be due.
    pub(super) fn evaluate(&mut self, limits: &Limits, look: bool, now_ns: u64) -> Todo {
        if self.running + self.gathering >= limits.slots {
            // Every slot is held: whoever holds it takes what waits.
            return Todo::default();
        }
        let free = self.running < limits.slots;
        let load = Load {
            queued: self.queue.len(),
            due: if look && free {
                self.due(limits, now_ns)
            } else {
                0
            },
            lanes: self.queue.lanes(),
            running: self.running,
            running_items: self.running_items,
            slots: limits.slots,
            target: self.sizer.target(),
            urgent: self.is_urgent(limits),
        };
        let starts = wanted(&load).saturating_sub(self.gathering);
        self.gathering += starts;
        let waits = load.queued > 0 && self.gathering == 0 && free;
        let watch = waits && !self.watched;
        self.watched |= watch;
        Todo {
            starts,
            watch_at_ns: watch.then(|| self.next_due_ns(limits)).flatten(),
            settled: false,
        }
    }

    /// Batches that are due by size or time. Lanes take turns: for the last one
    /// that is due, those before it have to start too.
    fn due(&self, limits: &Limits, now_ns: u64) -> usize {
        let target = self.sizer.target();
        let (mut full, mut turns) = (0, 0);
        for (i, (oldest, len)) in self.queue.lines().enumerate() {
            full += len / target;
            if len >= target || Self::due_ns(oldest, limits) <= now_ns {
                turns = i + 1;
            }
        }
        full.max(turns)
    }

    /// When the window of the oldest item ends.
    pub(super) fn next_due_ns(&self, limits: &Limits) -> Option<u64> {
        let dues = self
            .queue
            .lines()
            .map(|(item, _)| Self::due_ns(item, limits));
        dues.min()
    }

    /// The window counts from the arrival. No item waits with a slot free that
    /// came while none was: a slot is freed only by a runner that finds nothing.
    fn due_ns(item: &Item<T, R>, limits: &Limits) -> u64 {
        item.arrived_ns.saturating_add(limits.window_ns)
    }

    /// A shutdown is a flush after which nothing comes.
    fn is_urgent(&self, limits: &Limits) -> bool {
        let heavy = |max| self.bytes >= u128::from(max);
        self.flush.is_some() || limits.bytes_max.is_some_and(heavy)
    }

    /// Whether a runner has let others run for long enough.
    pub(super) fn has_gathered(&self, limits: &Limits, gather: &mut Gather) -> bool {
        let came = self.counters.submitted;
        let brings = gather.passes == 0 || came > gather.came;
        let full = self.queue.next_len() >= self.sizer.target();
        let enough = full || self.is_urgent(limits) || gather.passes >= limits.passes_max;
        if gather.rested && (enough || !brings) {
            return true;
        }
        *gather = Gather {
            passes: gather.passes + 1,
            rested: true,
            came,
        };
        false
    }

    /// The first items of the lane whose turn it is, without those whose
    /// callers went away.
    pub(super) fn take(&mut self, limits: &Limits, now_ns: u64) -> Batch<T, R> {
        let size = self.size_of_next();
        let bytes_max = limits.bytes_max.map_or(u128::MAX, u128::from);
        let (mut count, mut bytes) = (0, 0_u128);
        let mut taken = Vec::with_capacity(size);
        let keep_on = |item: &Item<T, R>| {
            if item.reply.is_abandoned() {
                return true;
            }
            let with_it = bytes + u128::from(item.bytes);
            let fits = count == 0 || (count < size && with_it <= bytes_max);
            if fits {
                count += 1;
                bytes = with_it;
            }
            fits
        };
        self.queue.take(keep_on, &mut taken);
        for item in &taken {
            self.unqueue(item);
        }
        let skipped = skip_abandoned(&mut taken);
        self.counters.cancelled += skipped.len() as u64;
        for item in &taken {
            let waited_ns = now_ns.saturating_sub(item.arrived_ns);
            self.counters
                .waits
                .add_time(Duration::from_nanos(waited_ns));
        }
        Batch {
            items: taken,
            skipped,
            left: self.queue.len(),
        }
    }

    /// What the runners that are about to start can do at once is split evenly
    /// over them, as far as it is not other lanes' turn. Sizes vary to teach
    /// only where more is left than that: there a smaller batch delays nobody.
    fn size_of_next(&mut self) -> usize {
        let ready = self.gathering + 1;
        let ready = ready.saturating_sub(self.queue.lanes() - 1).max(1);
        let (len, target) = (self.queue.next_len(), self.sizer.target());
        if len > target.saturating_mul(ready) {
            return self.sizer.cap().min(len);
        }
        share(len, ready, target)
    }

    /// An item has left the queue.
    fn unqueue(&mut self, item: &Item<T, R>) {
        self.bytes -= u128::from(item.bytes);
        if let Some(flush) = &mut self.flush
            && item.epoch <= flush.epoch
        {
            flush.waiting -= 1;
            if flush.waiting == 0 {
                self.flush = None;
            }
        }
    }

    /// An item has left the queue and will not be started; whether a flush may
    /// be over by this.
    pub(super) fn remove(&mut self, item: &Item<T, R>) -> bool {
        self.unqueue(item);
        self.epochs.leave(item.epoch)
    }

    pub(super) fn count(&mut self, ended: &Ended) {
        let counters = &mut self.counters;
        if ended.given > 0 {
            counters.batches += 1;
            counters.sizes.add(ended.given as u64);
            counters.runs.add_time(Duration::from_nanos(ended.ran_ns));
        }
        counters.items += ended.answered as u64;
        if ended.ending == Ending::Answered {
            counters.deduplicated += (ended.answered - ended.given) as u64;
        }
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
