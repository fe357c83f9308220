use super::*;
use proptest::prelude::*;

const RULES: ProbeRules = ProbeRules {
    probes_max: 3,
    successes_to_close: 2,
    timeout_ns: 50,
};
const BACKOFF: Backoff = Backoff {
    delay_ns: 100,
    factor: 2.0,
    delay_max_ns: 400,
    jitter: 0.0,
    retry_after_max_ns: 1_000,
};
const CAUSE: Cause = Cause::ConsecutiveFailures { failures: 5 };

fn machine() -> Machine {
    Machine::new(RULES, BACKOFF, 1)
}

fn tripped() -> Machine {
    let mut machine = machine();
    machine.step(
        Event::Trip {
            generation: 0,
            cause: CAUSE,
        },
        0,
    );
    machine
}

/// Half-open at 100, with as many probes out.
fn probing(probes: u32) -> Machine {
    let mut machine = tripped();
    machine.step(Event::Tick, 100);
    for number in 0..probes {
        assert_eq!(
            machine.step(Event::Call, 100).reply,
            Reply::Probe(probe(number))
        );
    }
    machine
}

fn probe(number: u32) -> ProbeId {
    ProbeId {
        generation: 2,
        number,
    }
}

fn answer(number: u32, healthy: bool) -> Event {
    Event::Answered {
        probe: probe(number),
        healthy,
        asked_ns: 0,
    }
}

fn states(step: Step) -> Option<(State, State)> {
    step.transition
        .map(|transition| (transition.from, transition.to))
}

#[test]
fn it_opens_for_the_delay_and_then_lets_probes_pass() {
    let mut machine = tripped();
    assert_eq!(machine.due_ns(), 100);
    assert_eq!(machine.step(Event::Call, 99).reply, Reply::Refused);
    let step = machine.step(Event::Call, 100);
    assert_eq!(states(step), Some((State::Open, State::HalfOpen)));
    assert_eq!(step.reply, Reply::Probe(probe(0)));
}

#[test]
fn at_most_three_probes_are_out() {
    let mut machine = probing(3);
    assert_eq!(machine.step(Event::Call, 100).reply, Reply::Refused);
    assert_eq!(machine.word().out(), 3);
}

#[test]
fn an_answered_probe_keeps_its_slot_until_the_life_ends() {
    let mut machine = probing(3);
    machine.step(answer(0, true), 100);
    assert_eq!(machine.step(Event::Call, 100).reply, Reply::Refused);
    assert_eq!((machine.word().out(), machine.word().ok()), (2, 1));
}

#[test]
fn two_successes_close_and_the_third_is_stale() {
    let mut machine = probing(3);
    machine.step(answer(0, true), 100);
    assert_eq!(
        states(machine.step(answer(1, true), 100)),
        Some((State::HalfOpen, State::Closed))
    );
    assert_eq!(machine.step(answer(2, false), 100).reply, Reply::Stale);
    assert_eq!(machine.word().state(), State::Closed);
}

#[test]
fn one_failure_reopens_for_twice_as_long_up_to_the_most() {
    let mut machine = tripped();
    let mut now_ns = 0;
    for expect_ns in [100, 200, 400, 400] {
        assert_eq!(machine.due_ns() - now_ns, expect_ns);
        now_ns = machine.due_ns();
        let Reply::Probe(probe) = machine.step(Event::Call, now_ns).reply else {
            panic!("no probe")
        };
        machine.step(
            Event::Answered {
                probe,
                healthy: false,
                asked_ns: 0,
            },
            now_ns,
        );
    }
}

#[test]
fn closing_resets_the_delay() {
    let mut machine = probing(1);
    machine.step(answer(0, false), 100);
    machine.step(Event::Force(Forced::Closed), 100);
    let generation = machine.word().generation();
    machine.step(
        Event::Trip {
            generation,
            cause: CAUSE,
        },
        1_000,
    );
    assert_eq!(machine.due_ns(), 1_100);
}

#[test]
fn a_dropped_probe_gives_its_slot_back_once() {
    let mut machine = probing(3);
    assert_eq!(
        machine.step(Event::Dropped { probe: probe(1) }, 100).reply,
        Reply::Done
    );
    assert_eq!(
        machine.step(Event::Dropped { probe: probe(1) }, 100).reply,
        Reply::Stale
    );
    assert_eq!(machine.step(Event::Call, 100).reply, Reply::Probe(probe(3)));
    assert_eq!(machine.step(Event::Call, 100).reply, Reply::Refused);
}

#[test]
fn a_probe_loses_its_slot_at_its_deadline_and_its_result_is_stale() {
    let mut machine = probing(3);
    assert_eq!(machine.due_ns(), 150);
    assert_eq!(machine.step(Event::Call, 149).reply, Reply::Refused);
    let step = machine.step(Event::Call, 150);
    assert_eq!((step.reply, step.expired), (Reply::Probe(probe(3)), 3));
    assert_eq!(machine.step(answer(0, false), 150).reply, Reply::Stale);
    assert_eq!(machine.word().state(), State::HalfOpen);
}

#[test]
fn a_result_after_the_deadline_is_stale_also_if_nobody_looked_before() {
    let mut machine = probing(1);
    let step = machine.step(answer(0, false), 150);
    assert_eq!((step.reply, step.expired), (Reply::Stale, 1));
}

#[test]
fn retry_after_is_a_floor_for_the_delay() {
    let mut machine = machine();
    machine.step(
        Event::Asked {
            generation: 0,
            asked_ns: 700,
        },
        0,
    );
    machine.step(
        Event::Trip {
            generation: 0,
            cause: CAUSE,
        },
        200,
    );
    assert_eq!(machine.due_ns(), 700);

    let mut machine = probing(1);
    machine.step(
        Event::Answered {
            probe: probe(0),
            healthy: false,
            asked_ns: 99_999,
        },
        100,
    );
    assert_eq!(machine.due_ns(), 100 + BACKOFF.retry_after_max_ns);
}

#[test]
fn what_was_asked_of_an_earlier_life_is_forgotten() {
    let mut machine = machine();
    machine.step(
        Event::Asked {
            generation: 0,
            asked_ns: 900,
        },
        0,
    );
    machine.step(Event::Force(Forced::Closed), 0);
    assert_eq!(
        machine
            .step(
                Event::Asked {
                    generation: 0,
                    asked_ns: 900
                },
                0
            )
            .reply,
        Reply::Stale
    );
    machine.step(
        Event::Trip {
            generation: 1,
            cause: CAUSE,
        },
        0,
    );
    assert_eq!(machine.due_ns(), 100);
}

#[test]
fn forced_states_stay_and_forcing_twice_is_once() {
    let mut machine = machine();
    assert_eq!(
        states(machine.step(Event::Force(Forced::Open), 0)),
        Some((State::Closed, State::ForcedOpen))
    );
    assert_eq!(machine.step(Event::Force(Forced::Open), 0).transition, None);
    assert_eq!(machine.step(Event::Call, NEVER - 1).reply, Reply::Refused);
    machine.step(Event::Force(Forced::Disabled), 0);
    assert_eq!(machine.step(Event::Call, 0).reply, Reply::Bypass);
    assert_eq!(
        machine
            .step(
                Event::Trip {
                    generation: 2,
                    cause: CAUSE
                },
                0
            )
            .reply,
        Reply::Stale
    );
    machine.step(Event::Force(Forced::Closed), 0);
    assert_eq!(machine.step(Event::Call, 0).reply, Reply::Closed(3));
}

fn event() -> impl Strategy<Value = Event> {
    let probe =
        || (0u32..12, 0u32..6).prop_map(|(generation, number)| ProbeId { generation, number });
    prop_oneof![
        6 => Just(Event::Call),
        2 => Just(Event::Tick),
        2 => (0u32..12).prop_map(|generation| Event::Trip { generation, cause: CAUSE }),
        1 => (0u32..12, 0u64..2_000).prop_map(|(generation, asked_ns)| Event::Asked { generation, asked_ns }),
        6 => (probe(), any::<bool>(), 0u64..300)
            .prop_map(|(probe, healthy, asked_ns)| Event::Answered { probe, healthy, asked_ns }),
        2 => probe().prop_map(|probe| Event::Dropped { probe }),
        1 => prop_oneof![Just(Forced::Open), Just(Forced::Closed), Just(Forced::Disabled)]
            .prop_map(Event::Force),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever happens in whatever order, made-up and late events included.
    #[test]
    fn invariants_hold(events in prop::collection::vec((event(), 0u64..60), 1..120)) {
        let mut machine = machine();
        let mut now_ns = 0;
        for (event, pause_ns) in events {
            now_ns += pause_ns;
            let before = machine.word();
            let step = machine.step(event, now_ns);
            let after = machine.word();
            prop_assert!(after.out() + after.ok() <= RULES.probes_max);
            prop_assert!(after.ok() < RULES.successes_to_close);
            // One generation per transition, and none without.
            let steps = u32::from(step.transition.is_some());
            prop_assert_eq!(after.generation(), before.generation() + steps);
            prop_assert_eq!(after.state() != before.state(), states(step).is_some_and(|(from, to)| from != to));
            if step.reply == Reply::Stale && step.expired == 0 {
                prop_assert_eq!(after, before);
            }
            if let Some(transition) = step.transition {
                prop_assert_eq!(transition.reopens_in.is_some(), transition.to == State::Open);
                prop_assert_eq!(transition.generation, after.generation());
            }
            // Nothing that is due stays undone after a call.
            if event == Event::Call {
                prop_assert!(machine.due_ns() > now_ns);
            }
        }
    }
}
