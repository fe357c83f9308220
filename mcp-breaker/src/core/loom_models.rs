//! Every interleaving of the races that matter, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-breaker --release --lib loom_models
//! ```

use super::*;
use crate::{
    backoff::Backoff,
    machine::{Forced, ProbeRules, Reply},
    window::CountRing,
};
use loom::{sync::Arc, thread};

const DELAY_NS: u64 = 100;
const BAD: Grade = Grade {
    failed: true,
    slow: false,
};

/// Opens at two failures in a row or at two of two calls failed.
fn core(probes_max: u16) -> Core {
    let rules = ProbeRules {
        probes_max,
        successes_to_close: 1,
        timeout_ns: 50,
    };
    let backoff = Backoff {
        delay_ns: DELAY_NS,
        factor: 1.0,
        delay_max_ns: DELAY_NS,
        jitter: 0.0,
        retry_after_max_ns: 0,
    };
    let thresholds = Thresholds {
        consecutive_failures: Some(2),
        failure_rate: Some(1.0),
        slow_rate: None,
        calls_min: 2,
    };
    let machine = Machine::new(rules, backoff, 1);
    Core::new(machine, thresholds, Window::Count(CountRing::new(2, false)))
}

/// Records as the breaker does; the number of transitions this caused.
fn record(core: &Core, life: u32, grade: Grade) -> usize {
    match core.record(life, grade, 0) {
        Recorded::Trips(cause) => trip(core, life, cause),
        Recorded::Kept | Recorded::Stale => 0,
    }
}

fn trip(core: &Core, generation: u32, cause: Cause) -> usize {
    let (step, _) = core.step(Event::Trip { generation, cause }, 0, |_| {});
    usize::from(step.transition.is_some())
}

fn open(core: &Core) {
    assert_eq!(trip(core, 0, Cause::Forced), 1);
}

fn call(core: &Core, now_ns: u64) -> Reply {
    core.step(Event::Call, now_ns, |_| {}).0.reply
}

/// Two threads end an open life at once.
///
/// Seen to fail: with `out.len() + ok <= probes_max` in the machine's `call`.
#[test]
fn at_most_one_probe_of_one_is_admitted() {
    loom::model(|| {
        let core = Arc::new(core(1));
        open(&core);
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || matches!(call(&other, DELAY_NS), Reply::Probe(_)));
        let mine = matches!(call(&core, DELAY_NS), Reply::Probe(_));
        let theirs = thread.join().expect("no panic");
        assert!(mine ^ theirs, "exactly one");
        assert_eq!(
            (core.word().state(), core.word().out()),
            (State::HalfOpen, 1)
        );
    });
}

/// Two threads bring the failures that cross the threshold.
///
/// Seen to fail: with the machine's `trip` not comparing generation and phase;
/// with `LifeCell::update` storing and not exchanging (no transition at all).
#[test]
fn one_transition_ends_a_life() {
    loom::model(|| {
        let core = Arc::new(core(1));
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || record(&other, 0, BAD));
        let mine = record(&core, 0, BAD);
        let theirs = thread.join().expect("no panic");
        assert_eq!(mine + theirs, 1);
        assert_eq!(
            (core.word().state(), core.word().generation()),
            (State::Open, 1)
        );
    });
}

/// A failure of the first life meets the reset that begins the second, and the
/// second life's own first failure.
///
/// Seen to fail: with `CountRing::record` not looking at the tag of its ticket
/// (the new window counts one call); with `LifeCell::update` not giving way to
/// a later life (the new window loses its own failure).
#[test]
fn a_stale_result_is_inert() {
    loom::model(|| {
        let core = Arc::new(core(1));
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || record(&other, 0, BAD));
        core.step(Event::Force(Forced::Closed), 0, |_| {});
        assert_eq!(record(&core, 1, BAD), 0);
        assert_eq!(thread.join().expect("no panic"), 0);
        assert_eq!(
            core.tally(0),
            Tally {
                calls: 1,
                failures: 1,
                slow: 0
            }
        );
        assert_eq!((core.run(), core.word().state()), (1, State::Closed));
    });
}

/// A failure of the first life is overtaken by two resets: its ticket comes from
/// the second life's cursor, and must not be taken back from the third's.
///
/// Seen to fail: with a plain `fetch_sub` in place of `take_one_back` in
/// `CountRing::record` (the cursor borrows from its tag, and the third life
/// takes every result for stale).
#[test]
fn two_resets_in_a_row_leave_a_window_that_counts() {
    loom::model(|| {
        let core = Arc::new(core(1));
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || record(&other, 0, BAD));
        for _ in 0..2 {
            core.step(Event::Force(Forced::Closed), 0, |_| {});
        }
        assert_eq!(thread.join().expect("no panic"), 0);
        assert_eq!(core.record(2, BAD, 0), Recorded::Kept);
        let tally = core.tally(0);
        assert_eq!((tally.calls, tally.failures, core.run()), (1, 1, 1));
    });
}

/// Whoever sees the new life sees its empty window.
///
/// Seen to fail: with the word published before `window.begin`.
#[test]
fn a_new_life_begins_with_an_empty_window() {
    loom::model(|| {
        let core = Arc::new(core(1));
        assert_eq!(record(&core, 0, BAD), 0);
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || {
            other.step(Event::Force(Forced::Closed), 0, |_| {});
        });
        let life = core.word().generation();
        let recorded = core.record(life, BAD, 0);
        if life == 1 {
            assert_eq!(
                recorded,
                Recorded::Kept,
                "one failure does not trip an empty window"
            );
        }
        thread.join().expect("no panic");
    });
}

/// The only probe is dropped while another caller asks.
///
/// Seen to fail: with `Dropped` doing nothing in the machine's `step`.
#[test]
fn a_cancelled_probe_gives_its_slot_back() {
    loom::model(|| {
        let core = Arc::new(core(1));
        open(&core);
        let Reply::Probe(probe) = call(&core, DELAY_NS) else {
            panic!("no probe")
        };
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || {
            other.step(Event::Dropped { probe }, DELAY_NS, |_| {});
        });
        let during = call(&core, DELAY_NS);
        thread.join().expect("no panic");
        let after = call(&core, DELAY_NS);
        let admitted = [during, after]
            .iter()
            .filter(|reply| matches!(reply, Reply::Probe(_)))
            .count();
        assert_eq!(
            admitted, 1,
            "the slot is free once, not never and not twice"
        );
    });
}

/// A probe's success just in time meets a caller just after its deadline: either it closes, or it is stale
/// and the slot is free.
///
/// Seen to fail: with `expire` removing no probe.
#[test]
fn a_probe_answers_or_expires_but_not_both() {
    loom::model(|| {
        let core = Arc::new(core(1));
        open(&core);
        let Reply::Probe(probe) = call(&core, DELAY_NS) else {
            panic!("no probe")
        };
        let other = Arc::clone(&core);
        let thread = thread::spawn(move || {
            let event = Event::Answered {
                probe,
                healthy: true,
                asked_ns: 0,
            };
            other.step(event, DELAY_NS + 49, |_| {}).0.reply
        });
        let reply = call(&core, DELAY_NS + 50);
        match thread.join().expect("no panic") {
            Reply::Stale => assert!(matches!(reply, Reply::Probe(_))),
            _ => assert_eq!(reply, Reply::Closed(3)),
        }
    });
}
