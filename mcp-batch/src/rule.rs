//! The start rule: how many batches should be started, given what is queued
//! and what is running. No clock, no lock.

/// What the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Items that wait.
    pub(crate) queued: usize,
    /// Batches that are due whatever runs: lanes that hold the target size, or
    /// whose oldest item has waited for the window, and those before them.
    pub(crate) due: usize,
    /// Lanes that have items.
    pub(crate) lanes: usize,
    /// Batches that run.
    pub(crate) running: usize,
    /// Items in them.
    pub(crate) running_items: usize,
    /// The most batches at once.
    pub(crate) slots: usize,
    /// The size to aim at.
    pub(crate) target: usize,
    /// The bytes limit is reached, or a flush asks.
    pub(crate) urgent: bool,
}

/// How many batches should be about to start. Those that already are (a runner
/// holds a slot and has not taken its items yet) count towards it.
///
/// * Idle: all that is there goes now. The window is never a tax.
/// * Urgent: the same.
/// * Due: the target size is reached in a lane, or the window in time.
/// * Balance: what waits is its fair share of what is at hand, so that a free
///   slot would do as much as each busy one. This is what fills the second
///   slot of a closed loop, and starts the second of two lone items.
///
/// A batch's end needs no rule: its runner takes what waits.
pub(crate) fn wanted(load: &Load) -> usize {
    let free = load.slots.saturating_sub(load.running);
    if load.queued == 0 || free == 0 {
        return 0;
    }
    let all = load.queued.div_ceil(load.target);
    let wanted = if load.running == 0 || load.urgent {
        all.max(load.lanes)
    } else if load.queued * load.slots >= load.queued + load.running_items {
        all
    } else {
        0
    };
    wanted.max(load.due).min(free)
}

/// How many of a lane's `queued` items the next batch takes, if `ready` batches
/// are about to start. What they can do at once is split evenly: the largest
/// batch decides when all are done.
pub(crate) fn share(queued: usize, ready: usize, target: usize) -> usize {
    let batches = queued.div_ceil(target);
    if batches <= ready {
        queued.div_ceil(batches.max(1))
    } else {
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOAD: Load = Load {
        queued: 0,
        due: 0,
        lanes: 1,
        running: 0,
        running_items: 0,
        slots: 2,
        target: 50,
        urgent: false,
    };

    fn load(queued: usize, running: usize, running_items: usize) -> Load {
        Load {
            queued,
            due: queued / 50,
            running,
            running_items,
            ..LOAD
        }
    }

    #[test]
    fn starts_follow_the_table() {
        let check = |load: Load, expect| assert_eq!(wanted(&load), expect, "{load:?}");
        check(load(0, 0, 0), 0);
        check(load(1, 0, 0), 1);
        check(load(50, 0, 0), 1);
        check(load(51, 0, 0), 2);
        check(load(500, 0, 0), 2);
        check(load(1, 1, 1), 1);
        check(load(1, 1, 2), 0);
        check(load(31, 1, 32), 0);
        check(load(32, 1, 32), 1);
        check(load(49, 1, 50), 0);
        check(load(50, 1, 500), 1);
        check(load(500, 2, 100), 0);
        let urgent = |load| Load {
            urgent: true,
            ..load
        };
        check(urgent(load(1, 1, 50)), 1);
        check(urgent(load(1, 2, 50)), 0);
        check(urgent(load(0, 0, 0)), 0);
        let due = |due, load| Load { due, ..load };
        check(due(1, load(1, 1, 50)), 1);
        check(due(3, load(3, 1, 50)), 1);
        let slots = |slots, load| Load { slots, ..load };
        check(slots(5, due(3, load(3, 1, 50))), 3);
        check(slots(3, load(60, 1, 50)), 2);
        let lanes = Load {
            lanes: 3,
            slots: 4,
            ..load(3, 0, 0)
        };
        check(lanes, 3);
    }

    #[test]
    fn shares_follow_the_table() {
        let check = |queued, free, expect| {
            assert_eq!(share(queued, free, 50), expect, "{queued} {free}");
        };
        check(1, 2, 1);
        check(50, 2, 50);
        check(64, 2, 32);
        check(64, 1, 50);
        check(100, 2, 50);
        check(101, 2, 50);
        check(101, 3, 34);
    }

    proptest! {
        #[test]
        fn never_idle_with_a_queue_and_never_above_the_slots(
            queued in 0usize..2000, running in 0usize..9, items in 0usize..50,
            slots in 1usize..9, target in 1usize..60, urgent: bool,
        ) {
            let due = queued / target;
            let load = Load { due, slots, target, urgent, ..load(queued, running, running * items) };
            let wanted = wanted(&load);
            prop_assert!(wanted + running <= slots.max(running));
            if queued > 0 && running == 0 {
                prop_assert!(wanted >= 1);
            }
            if queued >= target && running < slots {
                prop_assert!(wanted >= 1);
            }
            if queued > 0 {
                let share = share(queued, slots, target);
                prop_assert!((1..=target.min(queued)).contains(&share));
            }
        }
    }
}
