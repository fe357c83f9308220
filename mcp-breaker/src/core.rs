//! The machine behind a lock, its summary in one word, and the windows beside
//! them: everything that threads share, without clock, timer or events.

use crate::{
    State, Transition,
    machine::{Event, Machine, NEVER, Step},
    state::Word,
    sync::{AtomicU64, Mutex, Ordering, Padded, lock},
    trip::{Cause, Tally, Thresholds},
    window::{Grade, LifeCell, Window},
};

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Kept,
    /// It belongs to an earlier life and moved nothing.
    Stale,
    /// It crossed a threshold: the breaker should open.
    Trips(Cause),
}

#[derive(Debug)]
pub(crate) struct Core {
    /// Written only while `machine` is locked; read by every call.
    word: Padded<AtomicU64>,
    /// When the machine wants a tick; meaningful with the word beside it.
    due_ns: AtomicU64,
    thresholds: Thresholds,
    window: Window,
    run: LifeCell,
    machine: Mutex<Machine>,
}

impl Core {
    pub(crate) fn new(machine: Machine, thresholds: Thresholds, window: Window) -> Self {
        Self {
            word: Padded(AtomicU64::new(machine.word().0)),
            due_ns: AtomicU64::new(NEVER),
            thresholds,
            window,
            run: LifeCell::new(),
            machine: Mutex::new(machine),
        }
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.word.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns.load(Ordering::Relaxed)
    }

    /// Runs one event and publishes what it changed. `emit` runs under the
    /// lock, so that listeners see changes in their order; it must not block
    /// and not come back here. Also says whether the due time changed.
    pub(crate) fn step(
        &self,
        event: Event,
        now_ns: u64,
        emit: impl FnOnce(Transition),
    ) -> (Step, bool) {
        let mut machine = lock(&self.machine);
        let step = machine.step(event, now_ns);
        if let Some(transition) = step.transition
            && transition.to == State::Closed
        {
            self.window.begin(transition.generation);
        }
        let due_ns = machine.due_ns();
        let due_before_ns = self.due_ns.swap(due_ns, Ordering::Relaxed);
        // Release: whoever sees the word sees the window and the due time.
        self.word.0.store(machine.word().0, Ordering::Release);
        if let Some(transition) = step.transition {
            emit(transition);
        }
        (step, due_ns != due_before_ns)
    }

    /// Notes a good call that changes nothing; `false` if this one may.
    #[inline]
    pub(crate) fn note_unmarked(&self, life: u32) -> bool {
        let Window::Count(ring) = &self.window else {
            return false;
        };
        // The run is looked at although the window holds no failure: the call
        // that pushed the last one out may not have ended the run yet.
        self.word().is_closed_life(life) && self.run.value(life) == 0 && ring.note_unmarked(life)
    }

    /// Notes the result of a call that passed in the closed life `life`.
    #[inline]
    pub(crate) fn record(&self, life: u32, grade: Grade, now_ns: u64) -> Recorded {
        if !grade.failed && !grade.slow && self.note_unmarked(life) {
            return Recorded::Kept;
        }
        self.record_marked(life, grade, now_ns)
    }

    /// Notes a result that may change the window.
    #[inline]
    pub(crate) fn record_marked(&self, life: u32, grade: Grade, now_ns: u64) -> Recorded {
        if !self.word().is_closed_life(life) || !self.window.record(life, grade, now_ns) {
            return Recorded::Stale;
        }
        if grade.failed || grade.slow {
            return self.judge(life, grade, now_ns);
        }
        self.end_run(life);
        Recorded::Kept
    }

    /// Only a failed or slow call can open the breaker: a success never does.
    #[cold]
    fn judge(&self, life: u32, grade: Grade, now_ns: u64) -> Recorded {
        if grade.failed {
            let run = self.run.update(life, |run| Some(run.saturating_add(1)));
            if let Some(cause) = run.and_then(|run| self.thresholds.by_run(run)) {
                return Recorded::Trips(cause);
            }
        } else {
            self.end_run(life);
        }
        if !self.thresholds.uses_rates() {
            return Recorded::Kept;
        }
        let verdict = self.thresholds.by_rate(self.window.tally(life, now_ns));
        verdict.map_or(Recorded::Kept, Recorded::Trips)
    }

    #[inline]
    fn end_run(&self, life: u32) {
        if self.run.value(life) != 0 {
            self.reset_run(life);
        }
    }

    #[cold]
    fn reset_run(&self, life: u32) {
        self.run.update(life, |run| (run != 0).then_some(0));
    }

    pub(crate) fn tally(&self, now_ns: u64) -> Tally {
        self.window.tally(self.word().generation(), now_ns)
    }

    /// Failures since the last success of this life.
    pub(crate) fn run(&self) -> u32 {
        self.run.value(self.word().generation())
    }

    /// Results noted over all closed lives.
    pub(crate) fn recorded(&self) -> u64 {
        self.window.recorded()
    }
}

#[cfg(all(test, mcp_loom))]
mod loom_models;
