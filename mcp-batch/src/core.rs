//! The queue, the slots and the target behind one lock. Every method is one
//! step; what it asks for (runners to start, a timer to set, items to drop) is
//! done by the shell, outside of the lock.

use crate::{
    sizer::Sizer,
    slot::{Reply, Unanswered},
    stats::{BatchRecord, Ending, History, Stats},
    sync::{Mutex, MutexGuard, lock},
};
use std::time::Duration;

#[cfg(all(test, mcp_loom))]
mod loom_models;
mod state;

use state::State;

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
    pub(crate) lane: u64,
    pub(crate) bytes: u64,
}

/// The limits, parsed from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) slots: usize,
    pub(crate) window_ns: u64,
    pub(crate) bytes_max: Option<u64>,
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

/// What a runner does next.
pub(crate) enum Next<T, R: Unanswered> {
    /// Lets other tasks run first: they may bring company.
    Pass,
    /// Runs this.
    Run(Batch<T, R>, Todo),
    /// Ends; its slot is free.
    End(Todo),
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
        let mut lane_len = 0;
        for arrival in arrivals {
            let item = Item {
                value: arrival.value,
                reply: arrival.reply,
                arrived_ns: now_ns,
                bytes: arrival.bytes,
                epoch: state.epochs.enter(),
            };
            state.bytes += item.bytes;
            state.counters.submitted += 1;
            lane_len = state.queue.push(arrival.lane, item);
        }
        Ok(state.evaluate(&self.limits, lane_len, now_ns))
    }

    /// Removes the item that has waited longest.
    pub(crate) fn shed_oldest(&self) -> Option<(Item<T, R>, Todo)> {
        let mut state = self.lock();
        let item = state.queue.pop_oldest(|item| item.arrived_ns)?;
        state.bytes -= item.bytes;
        state.counters.shed += 1;
        let settled = state.leave(item.epoch);
        let todo = Todo {
            settled,
            ..Todo::default()
        };
        Some((item, todo))
    }

    /// What a runner that holds a slot does next. `passed` is whether it has
    /// let other tasks run since its slot was free.
    pub(crate) fn next(&self, passed: bool, now_ns: u64) -> Next<T, R> {
        let mut state = self.lock();
        let full = state.queue.next_len() >= state.sizer.target();
        if !passed && !full && !state.is_urgent(&self.limits) {
            return Next::Pass;
        }
        state.gathering -= 1;
        if state.queue.len() == 0 {
            if state.running + state.gathering + 1 == self.limits.slots {
                state.free_since_ns = now_ns;
            }
            return Next::End(Todo::default());
        }
        let batch = state.take(&self.limits);
        state.running += 1;
        state.running_items += batch.items.len();
        let mut settled = false;
        for item in &batch.skipped {
            settled |= state.leave(item.epoch);
        }
        let lane_len = state.queue.next_len();
        let todo = state.evaluate(&self.limits, lane_len, now_ns);
        Next::Run(batch, Todo { settled, ..todo })
    }

    /// A batch ended; its runner keeps the slot and asks for the next one.
    pub(crate) fn finish(
        &self,
        ended: Ended,
        epochs: impl IntoIterator<Item = u64>,
        now_ns: u64,
    ) -> (BatchRecord, Todo) {
        let mut state = self.lock();
        if state.running + state.gathering == self.limits.slots {
            state.free_since_ns = now_ns;
        }
        state.running -= 1;
        state.running_items -= ended.answered;
        state.gathering += 1;
        let mut settled = false;
        for epoch in epochs {
            settled |= state.leave(epoch);
        }
        if ended.ending == Ending::Answered {
            state.sizer.learn(ended.given, ended.cost_ns);
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
        let todo = Todo {
            settled,
            ..Todo::default()
        };
        (record, todo)
    }

    /// The timer's turn: the window of the oldest item may have ended.
    pub(crate) fn watch(&self, now_ns: u64) -> Watch {
        let mut state = self.lock();
        let free = state.running + state.gathering < self.limits.slots;
        let free_since_ns = state.free_since_ns;
        let fronts = state.queue.fronts();
        let since_ns = fronts.map(|item| item.arrived_ns.max(free_since_ns)).min();
        let Some(since_ns) = since_ns.filter(|_| free) else {
            state.watched = false;
            return Watch::Over;
        };
        let due_ns = since_ns.saturating_add(self.limits.window_ns);
        if now_ns < due_ns {
            return Watch::At(due_ns);
        }
        state.watched = false;
        if state.gathering == 0 {
            state.gathering = 1;
            return Watch::Ripe(Todo {
                starts: 1,
                ..Todo::default()
            });
        }
        Watch::Over
    }

    /// Begins a flush: what waits is started as soon as slots are free.
    pub(crate) fn flush(&self, now_ns: u64) -> (u64, Todo) {
        let mut state = self.lock();
        let epoch = state.epochs.cut();
        if !state.epochs.is_over(epoch) {
            state.flushing = Some(epoch);
        }
        let lane_len = state.queue.next_len();
        (epoch, state.evaluate(&self.limits, lane_len, now_ns))
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

    /// A runner was dropped with its runtime: nothing will ever run again. What
    /// waits is handed back, to be dropped, which answers it.
    pub(crate) fn abandon(&self) -> Vec<Item<T, R>> {
        let mut state = self.lock();
        state.closed = true;
        state.epochs.end_all();
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
        }
    }
}

impl<T, R: Unanswered> Item<T, R> {
    pub(crate) fn into_parts(self) -> (T, Reply<R>, u64) {
        (self.value, self.reply, self.epoch)
    }
}
