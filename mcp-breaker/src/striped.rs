//! A counter that many threads write and few read.

use crate::sync::{AtomicU64, Ordering, Padded};
use std::{cell::Cell, sync::OnceLock, thread::available_parallelism};

/// More would cost each breaker more memory than the rest of it.
const STRIPES_MAX: usize = 8;

/// One cell per core, up to [`STRIPES_MAX`]; a thread keeps to its own, so that
/// two threads do not take turns in owning one cache line.
#[derive(Debug)]
pub(crate) struct Striped(Box<[Padded<Stripe>]>);

#[derive(Debug, Default)]
struct Stripe {
    count: AtomicU64,
    /// What `count` was at the last [`Striped::mark`].
    marked: AtomicU64,
}

impl Default for Striped {
    fn default() -> Self {
        Self((0..stripes()).map(|_| Padded::default()).collect())
    }
}

impl Striped {
    #[inline]
    pub(crate) fn add_one(&self) {
        self.here().count.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds one unless `stop` says so of what this thread's cell counted since
    /// the last mark; whether it did. Threads that share the cell are counted
    /// in, others are not.
    #[inline]
    pub(crate) fn add_one_unless(&self, stop: impl Fn(u64) -> bool) -> bool {
        let stripe = self.here();
        let marked = stripe.marked.load(Ordering::Relaxed);
        let added = !stop(stripe.count.load(Ordering::Relaxed).wrapping_sub(marked));
        if added {
            stripe.count.fetch_add(1, Ordering::Relaxed);
        }
        added
    }

    /// Lets every cell count from zero again for `stop`; the sum stays.
    pub(crate) fn mark(&self) {
        for Padded(stripe) in &self.0 {
            let count = stripe.count.load(Ordering::Relaxed);
            stripe.marked.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        let counts = self.0.iter().map(|Padded(stripe)| &stripe.count);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    #[inline]
    fn here(&self) -> &Stripe {
        // A power of two: the mask keeps the index inside.
        &self.0[thread_number() & (self.0.len() - 1)].0
    }
}

/// How many cells a counter has: a power of two.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    if cfg!(mcp_loom) {
        return 1;
    }
    *STRIPES.get_or_init(|| {
        let cores = available_parallelism().map_or(1, usize::from);
        cores.next_power_of_two().min(STRIPES_MAX)
    })
}

/// A number that is the thread's own, counted up from zero.
#[inline]
fn thread_number() -> usize {
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| match number.get() {
        usize::MAX => name_thread(number),
        known => known,
    })
}

#[cold]
fn name_thread(number: &Cell<usize>) -> usize {
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    number.set(next);
    next
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn counts_are_exact_over_all_threads() {
        let striped = Striped::default();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|_| striped.add_one()));
            }
        });
        assert_eq!(striped.sum(), 80_000);
    }

    #[test]
    fn a_mark_begins_anew_and_takes_nothing_from_the_sum() {
        let striped = Striped::default();
        striped.add_one();
        striped.mark();
        assert!(striped.add_one_unless(|since| since != 0));
        assert!(!striped.add_one_unless(|since| since == 1));
        assert_eq!(striped.sum(), 2);
    }

    #[test]
    fn there_is_a_power_of_two_of_cells() {
        assert!(stripes().is_power_of_two() && stripes() <= STRIPES_MAX);
    }
}
