//! The queue, the slots and the target behind one lock. Every method is one
//! step; what it asks for (runners to start, a timer to set, items to drop) is
//! done by the shell, outside of the lock.

use crate::{
    lanes::Lane,
    sizer::Sizer,
    slot::{Reply, Unanswered},
    stats::{BatchRecord, Ending, History, Stats},
    sync::{Mutex, MutexGuard, lock},
};
use std::time::Duration;

#[cfg(all(test, mcp_loom))]
mod loom_models;
mod state;
#[cfg(all(test, not(mcp_loom)))]
mod tests;

use state::{Flush, State};

/// Items that a refusal may look at for callers that went away.
const LOOKS: u64 = 16;

/// One item that waits.
pub(crate) struct Item<T, R: Unanswered> {
    pub(crate) value: T,
    pub(crate) reply: Reply<R>,
    pub(crate) arrived_ns: u64,
    bytes: u64,
    epoch: u64,
}

/// One item that comes.
pub(crate) struct Arrival<T, R: Unanswered> {
    pub(crate) value: T,
    pub(crate) reply: Reply<R>,
    pub(crate) lane: Lane,
    pub(crate) bytes: u64,
}

/// The limits, parsed from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) slots: usize,
    pub(crate) window_ns: u64,
    pub(crate) bytes_max: Option<u64>,
    /// See [`Gather`].
    pub(crate) passes_max: u32,
}

/// How a runner with a slot waits for company: it lets other tasks run while
/// that brings items. A new runner comes from the scheduler, one whose batch
/// just ended does not, and lets others run at least once, whatever waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gather {
    passes: u32,
    rested: bool,
    /// The items that had come before the last pass.
    came: u64,
}

impl Gather {
    pub(crate) const NEW_RUNNER: Self = Self {
        passes: 0,
        rested: true,
        came: 0,
    };
    pub(crate) const AFTER_A_BATCH: Self = Self {
        rested: false,
        ..Self::NEW_RUNNER
    };
}

/// What the shell has to do after a step.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Todo {
    /// Runners to start; each one already holds a slot.
    pub(crate) starts: usize,
    /// When to call [`Core::watch`], unless somebody is about to.
    pub(crate) watch_at_ns: Option<u64>,
    /// Whether a flush may be over.
    pub(crate) settled: bool,
}

impl Todo {
    fn settled(settled: bool) -> Self {
        Self {
            settled,
            ..Self::default()
        }
    }
}

/// What a runner does next.
pub(crate) enum Next<T, R: Unanswered> {
    /// Lets other tasks run first: they may bring company.
    Pass,
    /// Runs this.
    Run(Batch<T, R>, Todo),
    /// Ends; its slot is free.
    End,
}

/// Items taken together. All of them may have been skipped.
pub(crate) struct Batch<T, R: Unanswered> {
    pub(crate) items: Vec<Item<T, R>>,
    /// Nobody waits for these any more.
    pub(crate) skipped: Vec<Item<T, R>>,
    /// What waits behind them.
    pub(crate) left: usize,
}

/// How a batch went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// Items that were answered.
    pub(crate) answered: usize,
    /// Items that the function was given.
    pub(crate) given: usize,
    pub(crate) left: usize,
    pub(crate) waited_ns: u64,
    pub(crate) ran_ns: u64,
    /// With the answering.
    pub(crate) cost_ns: u64,
    pub(crate) ending: Ending,
}

/// What a timer does when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nothing waits for it.
    Over,
    /// It comes back.
    At(u64),
    /// It starts runners.
    Ripe(Todo),
}

pub(crate) struct Core<T, R: Unanswered> {
    limits: Limits,
    state: Mutex<State<T, R>>,
}

impl<T, R: Unanswered> Core<T, R> {
    pub(crate) fn new(limits: Limits, sizer: Sizer, history: History) -> Self {
        let state = State::new(sizer, history);
        Self {
            limits,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        lock(&self.state)
    }

    /// Takes items in; gives them back if the processor is closed.
    pub(crate) fn push<A>(&self, arrivals: A, now_ns: u64) -> Result<Todo, A>
    where
        A: IntoIterator<Item = Arrival<T, R>>,
    {
        let mut state = self.lock();
        if state.closed {
            return Err(arrivals);
        }
        let mut longest = 0;
        for arrival in arrivals {
            let item = Item {
                value: arrival.value,
                reply: arrival.reply,
                arrived_ns: now_ns,
                bytes: arrival.bytes,
                epoch: state.epochs.enter(),
            };
            state.bytes += u128::from(item.bytes);
            state.counters.submitted += 1;
            longest = state.queue.push(arrival.lane, item).max(longest);
        }
        let look = longest >= state.sizer.target();
        Ok(state.evaluate(&self.limits, look, now_ns))
    }

    /// Removes the item that has waited longest.
    pub(crate) fn shed_oldest(&self) -> Option<(Item<T, R>, Todo)> {
        let mut state = self.lock();
        let item = state.queue.pop_oldest(|item| item.arrived_ns)?;
        state.counters.shed += 1;
        let settled = state.remove(&item);
        Some((item, Todo::settled(settled)))
    }

    /// Removes the items whose callers went away. Looks at [`LOOKS`] items per
    /// call and item that came, all at once when that makes a whole queue: so a
    /// full queue of nobody is seen at once, and a storm of refusals is cheap.
    pub(crate) fn sweep(&self) -> (Vec<Item<T, R>>, Todo) {
        let mut state = self.lock();
        state.refusals += 1;
        let events = state.counters.submitted + state.refusals;
        if (events - state.swept_at) * LOOKS < state.queue.len() as u64 {
            return (Vec::new(), Todo::default());
        }
        state.swept_at = events;
        let gone = state.queue.remove(|item| item.reply.is_abandoned());
        state.counters.cancelled += gone.len() as u64;
        let mut settled = false;
        for item in &gone {
            settled |= state.remove(item);
        }
        (gone, Todo::settled(settled))
    }

    /// What a runner that holds a slot does next.
    pub(crate) fn next(&self, gather: &mut Gather, now_ns: u64) -> Next<T, R> {
        let mut state = self.lock();
        if !state.has_gathered(&self.limits, gather) {
            return Next::Pass;
        }
        state.gathering -= 1;
        if state.queue.len() == 0 {
            return Next::End;
        }
        let batch = state.take(&self.limits, now_ns);
        state.running += 1;
        state.running_items += batch.items.len();
        let mut settled = false;
        for item in &batch.skipped {
            settled |= state.epochs.leave(item.epoch);
        }
        let todo = state.evaluate(&self.limits, true, now_ns);
        Next::Run(batch, Todo { settled, ..todo })
    }

    /// A batch ended; its runner keeps the slot and asks for the next one.
    pub(crate) fn finish(
        &self,
        ended: Ended,
        epochs: impl IntoIterator<Item = u64>,
    ) -> (BatchRecord, Todo) {
        let mut state = self.lock();
        state.running -= 1;
        state.running_items -= ended.answered;
        state.gathering += 1;
        let mut settled = false;
        for epoch in epochs {
            settled |= state.epochs.leave(epoch);
        }
        if ended.ending == Ending::Answered {
            // Equal items count: the target counts them too.
            state.sizer.learn(ended.answered, ended.cost_ns);
        }
        let record = BatchRecord {
            size: ended.given,
            left: ended.left,
            waited: Duration::from_nanos(ended.waited_ns),
            ran: Duration::from_nanos(ended.ran_ns),
            target: state.sizer.target(),
            ending: ended.ending,
        };
        state.count(&ended);
        if ended.given > 0 {
            state.history.push(record);
        }
        (record, Todo::settled(settled))
    }

    /// The timer's turn: the window of the oldest item may have ended.
    pub(crate) fn watch(&self, now_ns: u64) -> Watch {
        let mut state = self.lock();
        let free = state.running + state.gathering < self.limits.slots;
        let Some(due_ns) = state.next_due_ns(&self.limits).filter(|_| free) else {
            state.watched = false;
            return Watch::Over;
        };
        if now_ns < due_ns {
            return Watch::At(due_ns);
        }
        state.watched = false;
        Watch::Ripe(state.evaluate(&self.limits, true, now_ns))
    }

    /// Begins a flush: what waits is started as soon as slots are free.
    pub(crate) fn flush(&self, now_ns: u64) -> (u64, Todo) {
        let mut state = self.lock();
        let epoch = state.epochs.cut();
        let waiting = state.queue.len();
        state.flush = (waiting > 0).then_some(Flush { epoch, waiting });
        (epoch, state.evaluate(&self.limits, true, now_ns))
    }

    pub(crate) fn is_over(&self, epoch: u64) -> bool {
        self.lock().epochs.is_over(epoch)
    }

    /// Takes nothing in from now on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A runner was dropped with its runtime: nothing will ever run again. Its
    /// slot is free, with the items of its batch, if it ran one. What waits is
    /// handed back, to be dropped, which answers it.
    pub(crate) fn abandon(&self, batch: Option<usize>) -> Vec<Item<T, R>> {
        let mut state = self.lock();
        match batch {
            Some(items) => {
                state.running -= 1;
                state.running_items -= items;
            }
            None => state.gathering -= 1,
        }
        state.closed = true;
        state.epochs.end_all();
        state.flush = None;
        state.bytes = 0;
        state.queue.drain()
    }

    pub(crate) fn history(&self) -> Vec<BatchRecord> {
        self.lock().history.to_vec()
    }

    pub(crate) fn stats(&self, overloaded: u64) -> Stats {
        let state = self.lock();
        let line = state.sizer.line();
        let cost = |ns: f64| Duration::from_secs_f64(ns.clamp(0.0, 1e18) / 1e9);
        Stats {
            submitted: state.counters.submitted,
            batches: state.counters.batches,
            items: state.counters.items,
            panicked: state.counters.panicked,
            miscounted: state.counters.miscounted,
            deduplicated: state.counters.deduplicated,
            overloaded,
            shed: state.counters.shed,
            cancelled: state.counters.cancelled,
            queued: state.queue.len(),
            running: state.running,
            target: state.sizer.target(),
            batch_cost: line.map(|line| cost(line.a_ns)),
            item_cost: line.map(|line| cost(line.b_ns)),
            sizes: state.counters.sizes,
            waits: state.counters.waits,
            runs: state.counters.runs,
        }
    }
}

impl<T, R: Unanswered> Item<T, R> {
    pub(crate) fn into_parts(self) -> (T, Reply<R>, u64) {
        (self.value, self.reply, self.epoch)
    }
}
