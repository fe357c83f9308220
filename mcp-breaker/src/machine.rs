//! The state machine: a function of (state, event, now), without clock or lock.

use crate::{
    State, Transition,
    backoff::Backoff,
    pass::PROBE_NUMBERS,
    state::{Word, next_generation},
    trip::Cause,
};
use std::time::Duration;

/// No instant: nothing is due.
pub(crate) const NEVER: u64 = u64::MAX;

/// The parsed form of [`HalfOpenConfig`](crate::HalfOpenConfig).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeRules {
    pub(crate) probes_max: u16,
    pub(crate) successes_to_close: u16,
    pub(crate) timeout_ns: u64,
}

/// Which probe of which half-open life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeId {
    pub(crate) generation: u32,
    pub(crate) number: u32,
}

/// What an operator can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forced {
    Open,
    Closed,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A caller asks to proceed.
    Call,
    /// Time has passed.
    Tick,
    /// The windows of a closed life crossed a threshold.
    Trip {
        generation: u32,
        cause: Cause,
    },
    /// In a closed life the dependency asked to be left alone for so long.
    Asked {
        generation: u32,
        asked_ns: u64,
    },
    /// A probe brought a result; `asked_ns` is its Retry-After, or 0.
    Answered {
        probe: ProbeId,
        healthy: bool,
        asked_ns: u64,
    },
    /// A probe was dropped without a result.
    Dropped {
        probe: ProbeId,
    },
    Force(Forced),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    /// The event belongs to an earlier life and moved nothing.
    Stale,
    /// The call passes in this closed life.
    Closed(u32),
    /// The call passes as a probe.
    Probe(ProbeId),
    /// The call passes unwatched.
    Bypass,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) reply: Reply,
    pub(crate) transition: Option<Transition>,
    /// Probes whose deadline passed: their slots are free again.
    pub(crate) expired: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until_ns: u64,
    },
    HalfOpen {
        out: Vec<Probe>,
        ok: u16,
        next_number: u32,
    },
    ForcedOpen,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    number: u32,
    deadline_ns: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    rules: ProbeRules,
    backoff: Backoff,
    phase: Phase,
    generation: u32,
    /// Openings in a row without a closed life between them.
    attempt: u32,
    asked_until_ns: u64,
    random: u64,
}

impl Machine {
    pub(crate) fn new(rules: ProbeRules, backoff: Backoff, seed: u64) -> Self {
        Self {
            rules,
            backoff,
            phase: Phase::Closed,
            generation: 0,
            attempt: 0,
            asked_until_ns: 0,
            random: seed,
        }
    }

    /// The summary that callers read without a lock.
    pub(crate) fn word(&self) -> Word {
        let (out, ok) = match &self.phase {
            Phase::HalfOpen { out, ok, .. } => (u16::try_from(out.len()).unwrap_or(u16::MAX), *ok),
            _ => (0, 0),
        };
        Word::pack(self.state(), self.generation, out, ok)
    }

    /// When the machine wants its next [`Event::Tick`].
    pub(crate) fn due_ns(&self) -> u64 {
        match &self.phase {
            Phase::Open { until_ns } => *until_ns,
            Phase::HalfOpen { out, .. } => out
                .iter()
                .map(|probe| probe.deadline_ns)
                .min()
                .unwrap_or(NEVER),
            Phase::Closed | Phase::ForcedOpen | Phase::Disabled => NEVER,
        }
    }

    pub(crate) fn step(&mut self, event: Event, now_ns: u64) -> Step {
        let mut step = Step {
            reply: Reply::Done,
            transition: None,
            expired: 0,
        };
        match event {
            Event::Tick => self.tick(now_ns, &mut step),
            Event::Call => {
                self.tick(now_ns, &mut step);
                step.reply = self.call(now_ns);
            }
            Event::Trip { generation, cause } => self.trip(generation, cause, now_ns, &mut step),
            Event::Asked {
                generation,
                asked_ns,
            } => step.reply = self.asked(generation, asked_ns, now_ns),
            Event::Answered {
                probe,
                healthy,
                asked_ns,
            } => {
                self.answered(probe, healthy, asked_ns, now_ns, &mut step);
            }
            Event::Dropped { probe } => step.reply = self.dropped(probe),
            Event::Force(forced) => step.transition = self.force(forced),
        }
        step
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
        }
    }

    fn tick(&mut self, now_ns: u64, step: &mut Step) {
        match &self.phase {
            Phase::Open { until_ns } if now_ns >= *until_ns => {
                let phase = Phase::HalfOpen {
                    out: Vec::new(),
                    ok: 0,
                    next_number: 0,
                };
                step.transition = Some(self.enter(phase, Cause::DelayElapsed));
            }
            _ => step.expired = self.expire(now_ns),
        }
    }

    /// Takes the slots of probes whose deadline has passed.
    fn expire(&mut self, now_ns: u64) -> u16 {
        let Phase::HalfOpen { out, .. } = &mut self.phase else {
            return 0;
        };
        let before = out.len();
        out.retain(|probe| probe.deadline_ns > now_ns);
        u16::try_from(before - out.len()).unwrap_or(u16::MAX)
    }

    fn call(&mut self, now_ns: u64) -> Reply {
        match &mut self.phase {
            Phase::Closed => Reply::Closed(self.generation),
            Phase::Disabled => Reply::Bypass,
            Phase::HalfOpen {
                out,
                ok,
                next_number,
            } if out.len() + usize::from(*ok) < usize::from(self.rules.probes_max) => {
                let number = *next_number;
                *next_number = (number + 1) % PROBE_NUMBERS;
                let deadline_ns = now_ns.saturating_add(self.rules.timeout_ns);
                out.push(Probe {
                    number,
                    deadline_ns,
                });
                Reply::Probe(ProbeId {
                    generation: self.generation,
                    number,
                })
            }
            Phase::HalfOpen { .. } | Phase::Open { .. } | Phase::ForcedOpen => Reply::Refused,
        }
    }

    fn trip(&mut self, generation: u32, cause: Cause, now_ns: u64, step: &mut Step) {
        if self.phase != Phase::Closed || self.generation != generation {
            step.reply = Reply::Stale;
            return;
        }
        step.transition = Some(self.open(cause, 0, now_ns));
    }

    /// The cap counts from the moment of asking: what was asked for long ago
    /// must not fill the cap anew at each opening.
    fn asked(&mut self, generation: u32, asked_ns: u64, now_ns: u64) -> Reply {
        if self.phase != Phase::Closed || self.generation != generation {
            return Reply::Stale;
        }
        let until_ns = now_ns.saturating_add(self.backoff.honoured_ns(asked_ns));
        self.asked_until_ns = self.asked_until_ns.max(until_ns);
        Reply::Done
    }

    fn answered(
        &mut self,
        probe: ProbeId,
        healthy: bool,
        asked_ns: u64,
        now_ns: u64,
        step: &mut Step,
    ) {
        step.expired = self.expire(now_ns);
        let Some(ok) = self.take_probe(probe) else {
            step.reply = Reply::Stale;
            return;
        };
        if !healthy {
            self.attempt = self.attempt.saturating_add(1);
            step.transition = Some(self.open(Cause::ProbeFailed, asked_ns, now_ns));
            return;
        }
        *ok += 1;
        let successes = *ok;
        if successes >= self.rules.successes_to_close {
            step.transition = Some(self.close(Cause::ProbesSucceeded { successes }));
        }
    }

    fn dropped(&mut self, probe: ProbeId) -> Reply {
        match self.take_probe(probe) {
            Some(_) => Reply::Done,
            None => Reply::Stale,
        }
    }

    /// Frees a probe's slot and hands out the count of successes; `None` when
    /// its life has ended or its deadline has passed.
    fn take_probe(&mut self, probe: ProbeId) -> Option<&mut u16> {
        let Phase::HalfOpen { out, ok, .. } = &mut self.phase else {
            return None;
        };
        if self.generation != probe.generation {
            return None;
        }
        let position = out.iter().position(|other| other.number == probe.number)?;
        out.swap_remove(position);
        Some(ok)
    }

    fn force(&mut self, forced: Forced) -> Option<Transition> {
        match (forced, &self.phase) {
            (Forced::Open, Phase::ForcedOpen) | (Forced::Disabled, Phase::Disabled) => None,
            (Forced::Open, _) => Some(self.enter(Phase::ForcedOpen, Cause::Forced)),
            (Forced::Disabled, _) => Some(self.enter(Phase::Disabled, Cause::Forced)),
            (Forced::Closed, _) => Some(self.close(Cause::Forced)),
        }
    }

    fn open(&mut self, cause: Cause, asked_ns: u64, now_ns: u64) -> Transition {
        let asked_ns = asked_ns.max(self.asked_until_ns.saturating_sub(now_ns));
        let delay_ns = self
            .backoff
            .next_delay_ns(self.attempt, &mut self.random, asked_ns);
        let until_ns = now_ns.saturating_add(delay_ns);
        let mut transition = self.enter(Phase::Open { until_ns }, cause);
        transition.reopens_in = Some(Duration::from_nanos(delay_ns));
        transition
    }

    fn close(&mut self, cause: Cause) -> Transition {
        self.attempt = 0;
        self.asked_until_ns = 0;
        self.enter(Phase::Closed, cause)
    }

    /// The only place where a life ends and the next begins.
    fn enter(&mut self, phase: Phase, cause: Cause) -> Transition {
        let from = self.state();
        self.phase = phase;
        self.generation = next_generation(self.generation);
        Transition {
            from,
            to: self.state(),
            cause,
            generation: self.generation,
            reopens_in: None,
        }
    }
}

#[cfg(test)]
mod tests;
