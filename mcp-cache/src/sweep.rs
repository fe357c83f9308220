//! Giving memory back that dead entries hold.

use crate::{Swept, inner::Inner};
use std::{hash::Hash, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval_at};

/// Slots of one step: a step holds one shard's lock for some microseconds.
const STEP: usize = 256;
/// Intervals of a whole round.
const ROUND: u64 = 100;

/// One part of a round for each interval, in small steps.
pub(crate) async fn run<K, V>(inner: Arc<Inner<K, V>>, interval: Duration)
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // By what there was when the round began: one that goes by what is left of a
    // cleared cache would get slower and slower.
    let mut slots = inner.store.slots();
    loop {
        ticks.tick().await;
        let mut left = slots.div_ceil(ROUND).max(1);
        while left > 0 {
            let swept = step(&inner);
            if swept.wrapped {
                slots = inner.store.slots();
            }
            left = match swept.examined {
                0 => 0,
                examined => left.saturating_sub(examined as u64),
            };
            tokio::task::yield_now().await;
        }
    }
}

/// A whole round at once.
pub(crate) fn all<K, V>(inner: &Inner<K, V>) -> usize
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    let mut removed = 0;
    // Twice: the first round may begin in the middle.
    for _ in 0..2 {
        loop {
            let swept = step(inner);
            removed += swept.removed;
            if swept.wrapped {
                break;
            }
        }
    }
    removed
}

fn step<K, V>(inner: &Inner<K, V>) -> Swept
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    inner.store.sweep_step(STEP, inner.clock.now_ms())
}
