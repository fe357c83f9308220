//! The whole breaker against a sequential model: a list of results, a handful
//! of numbers, no atomics.
//!
//! Breaking the breaker by hand was seen to fail here: counting a result of an
//! earlier life, leaving the slot of a dropped probe taken, keeping the run of
//! failures over a success, looking at the rate one call early, and reopening
//! for the first delay again.

use crate::support::{advance, breaker, config};
use mcp_breaker::{Breaker, Config, Outcome, Permit, Rejected, State, Verdict, WindowConfig};
use proptest::prelude::*;
use std::{collections::VecDeque, time::Duration};

const SIZE: u32 = 8;
const RUN: u32 = 4;
const CALLS_MIN: u32 = 6;
const DELAY_MS: u64 = 100;
const DELAY_MAX_MS: u64 = 400;
const PROBE_TIMEOUT_MS: u64 = 50;
const PROBES: usize = 3;
const SUCCESSES: usize = 2;
const ASKED_MAX_MS: u64 = 10_000;

#[derive(Debug, Clone)]
enum Op {
    Acquire,
    Settle {
        which: usize,
        outcome: Outcome,
        asked_ms: Option<u64>,
    },
    Drop {
        which: usize,
    },
    Advance {
        ms: u64,
    },
    ForceOpen,
    ForceClose,
    Disable,
}

fn op() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        5 => Just(Outcome::Failure),
        1 => Just(Outcome::Overload),
        1 => Just(Outcome::Ignore),
    ];
    let asked = prop_oneof![9 => Just(None), 1 => (1u64..20_000).prop_map(Some)];
    prop_oneof![
        20 => Just(Op::Acquire),
        20 => (0usize..6, outcome, asked)
            .prop_map(|(which, outcome, asked_ms)| Op::Settle { which, outcome, asked_ms }),
        3 => (0usize..6).prop_map(|which| Op::Drop { which }),
        6 => prop_oneof![1u64..20, 40u64..60, 90u64..110, 200u64..500].prop_map(|ms| Op::Advance { ms }),
        1 => Just(Op::Advance { ms: 11_000 }),
        1 => Just(Op::ForceOpen),
        2 => Just(Op::ForceClose),
        1 => Just(Op::Disable),
    ]
}

/// What the model knows of a permit that is out.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    life: u32,
    number: Option<u64>,
    watched: bool,
}

struct Model {
    now_ms: u64,
    state: State,
    life: u32,
    results: VecDeque<bool>,
    run: u32,
    attempt: u32,
    asked_until_ms: u64,
    reopens_ms: u64,
    probes: Vec<(u64, u64)>,
    good_probes: usize,
    next_number: u64,
    stale: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            now_ms: 0,
            state: State::Closed,
            life: 0,
            results: VecDeque::new(),
            run: 0,
            attempt: 0,
            asked_until_ms: 0,
            reopens_ms: 0,
            probes: Vec::new(),
            good_probes: 0,
            next_number: 0,
            stale: 0,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.life += 1;
        self.results.clear();
        self.run = 0;
        self.probes.clear();
        self.good_probes = 0;
        if state == State::Closed {
            self.attempt = 0;
            self.asked_until_ms = 0;
        }
    }

    fn open(&mut self, asked_ms: u64) {
        let delay_ms = (DELAY_MS << self.attempt.min(10)).min(DELAY_MAX_MS);
        let asked_ms = asked_ms.max(self.asked_until_ms.saturating_sub(self.now_ms));
        self.enter(State::Open);
        self.reopens_ms = self.now_ms + delay_ms.max(asked_ms.min(ASKED_MAX_MS));
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        if self.state == State::Open && self.now_ms >= self.reopens_ms {
            self.enter(State::HalfOpen);
        }
        let now_ms = self.now_ms;
        self.probes.retain(|(_, deadline_ms)| *deadline_ms > now_ms);
    }

    fn acquire(&mut self) -> Option<Ticket> {
        let ticket = Ticket {
            life: self.life,
            number: None,
            watched: true,
        };
        match self.state {
            State::Closed => Some(ticket),
            State::Disabled => Some(Ticket {
                watched: false,
                ..ticket
            }),
            State::HalfOpen if self.probes.len() + self.good_probes < PROBES => {
                let number = self.next_number;
                self.next_number += 1;
                self.probes.push((number, self.now_ms + PROBE_TIMEOUT_MS));
                Some(Ticket {
                    number: Some(number),
                    ..ticket
                })
            }
            _ => None,
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome, asked_ms: Option<u64>) {
        if !ticket.watched {
            return;
        }
        let current = ticket.life == self.life;
        match ticket.number {
            Some(number) if !current || !self.take_probe(number) => self.stale += 1,
            Some(_) => self.settle_probe(outcome, asked_ms.unwrap_or(0)),
            None if !current => self.stale += 1,
            None => self.settle_closed(outcome, asked_ms),
        }
    }

    fn take_probe(&mut self, number: u64) -> bool {
        let before = self.probes.len();
        self.probes.retain(|(other, _)| *other != number);
        self.probes.len() < before
    }

    fn settle_probe(&mut self, outcome: Outcome, asked_ms: u64) {
        match outcome {
            Outcome::Success => {
                self.good_probes += 1;
                if self.good_probes == SUCCESSES {
                    self.enter(State::Closed);
                }
            }
            Outcome::Ignore => {}
            _ => {
                self.attempt += 1;
                self.open(asked_ms);
            }
        }
    }

    fn settle_closed(&mut self, outcome: Outcome, asked_ms: Option<u64>) {
        if outcome == Outcome::Ignore {
            return;
        }
        if let Some(asked_ms) = asked_ms {
            let until_ms = self.now_ms + asked_ms.min(ASKED_MAX_MS);
            self.asked_until_ms = self.asked_until_ms.max(until_ms);
        }
        if outcome == Outcome::Overload {
            return;
        }
        let failed = outcome == Outcome::Failure;
        self.results.push_back(failed);
        if self.results.len() > SIZE as usize {
            self.results.pop_front();
        }
        self.run = if failed { self.run + 1 } else { 0 };
        let failures = self.results.iter().filter(|failed| **failed).count();
        let by_rate =
            self.results.len() >= CALLS_MIN as usize && failures * 2 >= self.results.len();
        if failed && (self.run >= RUN || by_rate) {
            self.open(0);
        }
    }

    /// A permit without a result is not a stale result, however late.
    fn drop_permit(&mut self, ticket: Ticket) {
        if let Some(number) = ticket.number
            && ticket.life == self.life
        {
            self.take_probe(number);
        }
    }
}

fn subject() -> Breaker {
    breaker(&Config {
        window: WindowConfig::Count { size: SIZE },
        consecutive_failures: Some(RUN),
        failure_rate: Some(0.5),
        calls_min: CALLS_MIN,
        ..config()
    })
}

struct Pair {
    breaker: Breaker,
    model: Model,
    out: Vec<(Permit<Breaker>, Ticket)>,
}

impl Pair {
    async fn apply(&mut self, op: &Op) {
        match *op {
            Op::Acquire => self.acquire(),
            Op::Settle {
                which,
                outcome,
                asked_ms,
            } => {
                let Some((permit, ticket)) = self.take(which) else {
                    return;
                };
                let mut verdict = Verdict::new(outcome);
                if let Some(asked_ms) = asked_ms {
                    verdict = verdict.with_retry_after(Duration::from_millis(asked_ms));
                }
                permit.settle(verdict);
                self.model.settle(ticket, outcome, asked_ms);
            }
            Op::Drop { which } => {
                let Some((permit, ticket)) = self.take(which) else {
                    return;
                };
                drop(permit);
                self.model.drop_permit(ticket);
            }
            Op::Advance { ms } => {
                advance(Duration::from_millis(ms)).await;
                self.model.advance(ms);
            }
            Op::ForceOpen => {
                self.breaker.force_open();
                if self.model.state != State::ForcedOpen {
                    self.model.enter(State::ForcedOpen);
                }
            }
            Op::ForceClose => {
                self.breaker.force_close();
                self.model.enter(State::Closed);
            }
            Op::Disable => {
                self.breaker.disable();
                if self.model.state != State::Disabled {
                    self.model.enter(State::Disabled);
                }
            }
        }
    }

    fn acquire(&mut self) {
        match (self.breaker.try_acquire_owned(), self.model.acquire()) {
            (Ok(permit), Some(ticket)) => {
                assert_eq!(permit.is_probe(), ticket.number.is_some());
                self.out.push((permit, ticket));
            }
            (Err(rejected), None) => {
                let state = match rejected {
                    Rejected::Open { .. } => State::Open,
                    Rejected::ForcedOpen => State::ForcedOpen,
                    _ => State::HalfOpen,
                };
                assert_eq!(state, self.model.state);
            }
            (permit, ticket) => panic!("{permit:?}, but the model says {ticket:?}"),
        }
    }

    fn take(&mut self, which: usize) -> Option<(Permit<Breaker>, Ticket)> {
        (!self.out.is_empty()).then(|| self.out.remove(which % self.out.len()))
    }

    fn compare(&self) {
        let (stats, model) = (self.breaker.stats(), &self.model);
        assert_eq!((stats.state, stats.generation), (model.state, model.life));
        assert_eq!(stats.window.calls as usize, model.results.len());
        let failures = model.results.iter().filter(|failed| **failed).count();
        assert_eq!(stats.window.failures as usize, failures);
        assert_eq!(stats.consecutive_failures, model.run);
        assert_eq!(stats.stale, model.stale);
        let reopens_ms = (model.state == State::Open).then(|| model.reopens_ms - model.now_ms);
        assert_eq!(stats.reopens_in, reopens_ms.map(Duration::from_millis));
    }
}

async fn run(ops: &[Op]) {
    let mut pair = Pair {
        breaker: subject(),
        model: Model::new(),
        out: Vec::new(),
    };
    for op in ops {
        pair.apply(op).await;
        pair.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_breaker_equals_the_model(ops in prop::collection::vec(op(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(&ops));
    }
}
