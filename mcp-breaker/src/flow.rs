//! How a call is let in, and what its result sets in motion.

use crate::{
    Breaker, Outcome, Rejected, State, Verdict,
    breaker::Shared,
    config::to_ns,
    core::Recorded,
    error::ReopensAt,
    limit,
    machine::{Event, NEVER, ProbeId, Reply},
    pass::{Entry, Pass, Role},
    state::Word,
    window::Grade,
};
use std::time::Duration;

/// Every so many refusals read the clock although a timer is set: the timer's
/// runtime may be stalled, or driven only while it runs a caller.
const REFUSALS_PER_LOOK: u64 = 64;

/// Whether the refusal that `earlier` ones of its open life precede looks. The
/// first do at 0, 1, 2, 4, ...: a rare caller must not wait for 64 of them.
#[inline]
const fn looks(earlier: u64) -> bool {
    earlier.is_multiple_of(REFUSALS_PER_LOOK) || earlier.is_power_of_two()
}

const GOOD: Grade = Grade {
    failed: false,
    slow: false,
};

impl Breaker {
    /// Answers a caller who found the breaker in the state `word`.
    #[inline(never)]
    pub(crate) fn admit(&self, word: Word) -> Entry {
        let pass = if word.is_closed() {
            Pass::watched(word.generation())
        } else {
            self.admit_unclosed(word)
        };
        if self.0.plain || !pass.lets_through() {
            return Entry { pass, detail: 0 };
        }
        self.start(pass)
    }

    #[inline]
    fn admit_unclosed(&self, word: Word) -> Pass {
        let Shared {
            core,
            counters,
            clock,
            ..
        } = &*self.0;
        if self.may_pass(word) || core.due_ns() <= clock.now_ns() {
            return self.ask_machine();
        }
        counters.rejected.add_one();
        Pass::REFUSED
    }

    /// Refuses without a look at the clock, if a timer will end the open life.
    /// Now and then it does not, and the caller looks.
    #[inline]
    pub(crate) fn refuses_unseen(&self, word: Word) -> bool {
        let Shared {
            alarm, counters, ..
        } = &*self.0;
        word.state() == State::Open && alarm.is_set() && counters.rejected.add_one_unless(looks)
    }

    /// Whether the state alone lets a call pass, before any look at the clock.
    pub(crate) fn may_pass(&self, word: Word) -> bool {
        match word.state() {
            State::Closed | State::Disabled => true,
            State::HalfOpen => word.out() + word.ok() < self.0.probes_max,
            State::Open | State::ForcedOpen => false,
        }
    }

    #[cold]
    fn ask_machine(&self) -> Pass {
        match self.step(Event::Call) {
            Reply::Closed(life) => Pass::watched(life),
            Reply::Probe(probe) => Pass::probe(probe),
            Reply::Bypass => Pass::BYPASS,
            Reply::Refused | Reply::Stale | Reply::Done => {
                self.0.counters.rejected.add_one();
                Pass::REFUSED
            }
        }
    }

    /// The part of admission that not every configuration needs.
    fn start(&self, pass: Pass) -> Entry {
        if let Some(limiter) = &self.0.limiter
            && let Err(limited) = limiter.enter()
        {
            self.0.counters.limited.add_one();
            if let Role::Probe(probe) = pass.role() {
                self.step(Event::Dropped { probe });
            }
            return Entry {
                pass: Pass::LIMITED,
                detail: limited,
            };
        }
        Entry {
            pass,
            detail: if self.0.times_calls {
                self.0.clock.now_ns()
            } else {
                0
            },
        }
    }

    /// Spells out why a call was not let through.
    #[inline]
    pub(crate) fn rejected(&self, entry: Entry) -> Rejected {
        // Read again: what the caller saw may have ended since.
        let word = self.0.core.word();
        if word.state() == State::Open && self.0.plain && entry.pass == Pass::REFUSED {
            return self.rejected_open();
        }
        self.rejected_for(word, entry)
    }

    #[inline]
    fn rejected_open(&self) -> Rejected {
        // The delay may have ended as well: then the next call is worth a try.
        let due_ns = self.0.core.due_ns();
        let at_ns = if due_ns == NEVER { 0 } else { due_ns };
        Rejected::Open {
            reopens: ReopensAt {
                clock: self.0.clock,
                at_ns,
            },
        }
    }

    #[inline(never)]
    fn rejected_for(&self, word: Word, entry: Entry) -> Rejected {
        let rejected = match (entry.pass.role(), word.state()) {
            (Role::Limited, _) => {
                let (limit, in_flight) = limit::unpack(entry.detail);
                Rejected::Limited { in_flight, limit }
            }
            (_, State::ForcedOpen) => Rejected::ForcedOpen,
            (_, State::HalfOpen) => Rejected::HalfOpen {
                probes_max: self.0.probes_max,
            },
            _ => self.rejected_open(),
        };
        if let Some(observer) = &self.0.observer {
            observer.on_rejected(&rejected);
        }
        rejected
    }

    /// The same as settling with success. What a healthy call does is small and
    /// inlined into the caller: a store of a spilled register is a store that
    /// the counter's atomic write has to wait for.
    #[inline(always)]
    pub(crate) fn settle_success(&self, pass: Pass, started_ns: u64) {
        if !(self.0.plain && pass.is_watched()) {
            self.settle(pass, started_ns, Verdict::SUCCESS);
        } else if !self.0.core.note_unmarked(pass.life()) {
            self.settle_marked(pass.life());
        }
    }

    #[inline(never)]
    fn settle_marked(&self, life: u32) {
        if self.0.core.record_marked(life, GOOD, 0) == Recorded::Stale {
            self.count_stale();
        }
    }

    #[inline(never)]
    pub(crate) fn settle(&self, pass: Pass, started_ns: u64, verdict: Verdict) {
        let now_ns = if self.0.stamps_results {
            self.0.clock.now_ns()
        } else {
            0
        };
        let took_ns = now_ns.saturating_sub(started_ns);
        // First of all: whatever an observer does below, the place is free.
        if let Some(limiter) = &self.0.limiter
            && limiter.leave(verdict.outcome, took_ns)
        {
            self.0.changed.notify_waiters();
        }
        let slow = self.0.times_calls && took_ns >= self.0.slow_after_ns;
        match pass.role() {
            Role::Watched => self.settle_closed(pass.life(), verdict, slow, now_ns),
            Role::Probe(probe) => self.step_probe(probe, verdict, slow),
            Role::Bypass | Role::Limited | Role::Refused | Role::Settled => {}
        }
        if let Some(observer) = &self.0.observer {
            let took = self.0.times_calls.then(|| Duration::from_nanos(took_ns));
            observer.on_settled(verdict.outcome, took);
        }
    }

    fn settle_closed(&self, life: u32, verdict: Verdict, slow: bool, now_ns: u64) {
        let counters = &self.0.counters;
        let failed = match verdict.outcome {
            Outcome::Success => false,
            Outcome::Failure => true,
            Outcome::Overload | Outcome::Ignore => {
                self.settle_unwatched(life, verdict);
                return;
            }
        };
        self.note_asked(life, verdict);
        let recorded = self.0.core.record(life, Grade { failed, slow }, now_ns);
        if recorded == Recorded::Stale {
            self.count_stale();
            return;
        }
        counters.failures.add(u64::from(failed));
        counters.slow.add(u64::from(slow));
        if let Recorded::Trips(cause) = recorded {
            self.step(Event::Trip {
                generation: life,
                cause,
            });
        }
    }

    /// Results that no window holds.
    fn settle_unwatched(&self, life: u32, verdict: Verdict) {
        let counters = &self.0.counters;
        if !self.0.core.word().is_closed_life(life) {
            self.count_stale();
            return;
        }
        if verdict.outcome == Outcome::Overload {
            counters.overloads.add_one();
            self.note_asked(life, verdict);
        } else {
            counters.ignored.add_one();
        }
    }

    #[inline]
    fn note_asked(&self, life: u32, verdict: Verdict) {
        if let Some(retry_after) = verdict.retry_after
            && self.0.core.word().is_closed_life(life)
        {
            self.step(Event::Asked {
                generation: life,
                asked_ns: to_ns(retry_after),
            });
        }
    }

    fn step_probe(&self, probe: ProbeId, verdict: Verdict, slow: bool) {
        let asked_ns = verdict.retry_after.map_or(0, to_ns);
        let (counter, event) = match verdict.outcome {
            Outcome::Ignore => (Some(&self.0.counters.ignored), Event::Dropped { probe }),
            Outcome::Overload => {
                let answered = Event::Answered {
                    probe,
                    healthy: false,
                    asked_ns,
                };
                (Some(&self.0.counters.overloads), answered)
            }
            Outcome::Success | Outcome::Failure => {
                let healthy = verdict.outcome == Outcome::Success && !slow;
                (
                    None,
                    Event::Answered {
                        probe,
                        healthy,
                        asked_ns,
                    },
                )
            }
        };
        if self.step(event) == Reply::Stale {
            self.count_stale();
        } else if let Some(counter) = counter {
            counter.add_one();
        }
    }

    #[cold]
    fn count_stale(&self) {
        self.0.counters.stale.add_one();
    }

    /// A permit went away without a result.
    pub(crate) fn cancel(&self, pass: Pass) {
        self.0.counters.cancelled.add_one();
        if let Some(limiter) = &self.0.limiter
            && limiter.abandon()
        {
            self.0.changed.notify_waiters();
        }
        if let Role::Probe(probe) = pass.role() {
            self.step(Event::Dropped { probe });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusals_look_often_and_the_later_ones_now_and_then() {
        let looking: Vec<_> = (0..300).filter(|earlier| looks(*earlier)).collect();
        assert_eq!(looking, [0, 1, 2, 4, 8, 16, 32, 64, 128, 192, 256]);
    }
}
