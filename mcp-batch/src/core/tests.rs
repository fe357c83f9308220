//! Single steps by plain values.

use super::*;
use crate::{
    sizer::SizerRules,
    slot::{Slot, slot},
};

struct Answer;

impl Unanswered for Answer {
    fn unanswered() -> Self {
        Self
    }
}

fn core(slots: usize, passes_max: u32) -> Core<u32, Answer> {
    let limits = Limits {
        slots,
        window_ns: 50,
        bytes_max: None,
        passes_max,
    };
    Core::new(limits, sizer(10), History::new(0))
}

fn sizer(max: usize) -> Sizer {
    let rules = SizerRules {
        max,
        adaptive: false,
        goal_ns: None,
    };
    Sizer::new(rules)
}

/// Queues `items`, which wait as long as the slots are held.
fn push(core: &Core<u32, Answer>, items: u32) -> (Todo, Vec<Slot<Answer>>) {
    let (arrivals, slots): (Vec<_>, Vec<_>) = (0..items).map(arrival).unzip();
    let Ok(todo) = core.push(arrivals, 0) else {
        panic!("open")
    };
    (todo, slots)
}

fn arrival(value: u32) -> (Arrival<u32, Answer>, Slot<Answer>) {
    let (reply, slot) = slot();
    let lane = Lane::Shared(0);
    let arrival = Arrival {
        value,
        reply,
        lane,
        bytes: 0,
    };
    (arrival, slot)
}

fn is_pass(next: &Next<u32, Answer>) -> bool {
    matches!(next, Next::Pass)
}

#[test]
fn a_runner_gathers_while_items_come_and_no_longer() {
    let core = core(1, 3);
    let mut gather = Gather::NEW_RUNNER;
    let mut slots = Vec::new();
    let (todo, first) = push(&core, 1);
    assert_eq!(todo.starts, 1);
    slots.extend(first);
    assert!(is_pass(&core.next(&mut gather, 0)), "at least once");
    slots.extend(push(&core, 1).1);
    assert!(is_pass(&core.next(&mut gather, 0)), "one more came");
    let Next::Run(batch, _) = core.next(&mut gather, 0) else {
        panic!("nobody came")
    };
    assert_eq!(batch.items.len(), 2);
}

#[test]
fn gathering_ends_with_its_passes_or_a_full_batch() {
    let until_run = |passes_max, each: u32| {
        let core = core(1, passes_max);
        let mut gather = Gather::NEW_RUNNER;
        let mut slots = push(&core, each).1;
        let mut passes = 0;
        while is_pass(&core.next(&mut gather, 0)) {
            slots.extend(push(&core, each).1);
            passes += 1;
        }
        passes
    };
    assert_eq!(until_run(0, 1), 0);
    assert_eq!(until_run(3, 1), 3);
    assert_eq!(until_run(1_000, 1), 9, "ten are a full batch");
    assert_eq!(until_run(1_000, 5), 1);
    assert_eq!(until_run(1_000, 10), 0);
}

#[test]
fn after_a_batch_others_run_first_whatever_waits() {
    let core = core(1, 0);
    let mut gather = Gather::AFTER_A_BATCH;
    let slots = push(&core, 30).1;
    assert!(is_pass(&core.next(&mut gather, 0)));
    assert!(!is_pass(&core.next(&mut gather, 0)), "once");
    drop(slots);
}

/// The timer is set for when the oldest item is due, not a window from now.
#[test]
fn the_timer_is_set_for_the_oldest_item() {
    let core = core(2, 0);
    let (todo, _held) = push(&core, 10);
    assert_eq!(todo.starts, 1);
    let mut gather = Gather::NEW_RUNNER;
    let Next::Run(first, _) = core.next(&mut gather, 0) else {
        panic!("full")
    };
    let (todo, _waiting) = push(&core, 3);
    assert_eq!((todo.starts, todo.watch_at_ns), (0, Some(50)));
    assert_eq!(core.watch(49), Watch::At(50));
    let Watch::Ripe(todo) = core.watch(50) else {
        panic!("due")
    };
    assert_eq!((todo.starts, todo.watch_at_ns), (1, None));
    assert_eq!(core.watch(50), Watch::Over, "both slots are taken");
    assert_eq!(first.items.len(), 10);
}

/// A batch of ten runs, and meanwhile the target falls to two: four items are
/// far from its share of the work, but two full batches.
#[test]
fn full_batches_start_however_large_those_are_that_run() {
    let core = core(3, 0);
    let _held = push(&core, 10);
    let Next::Run(_first, _) = core.next(&mut { Gather::NEW_RUNNER }, 0) else {
        panic!("full")
    };
    core.lock().sizer = sizer(2);
    let (todo, _full) = push(&core, 4);
    assert_eq!(todo.starts, 2);
}
