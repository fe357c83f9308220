//! A lock for critical sections of some ten nanoseconds.
//!
//! Releasing it is a plain store. A lock that parks its waiters has to find out
//! on release whether there are any, with a read-modify-write, which is about a
//! fifth of a whole cache hit; and in a section this short a waiter is served
//! sooner than it could be parked. A waiter spins for a moment and then yields to
//! other threads, so that a holder that lost its core gets it back.

#![expect(
    unsafe_code,
    reason = "a lock hands out what it guards; the table's reads are about a quarter faster than with std's Mutex"
)]

#[cfg(mcp_loom)]
use loom::{hint::spin_loop, thread::yield_now};
#[cfg(not(mcp_loom))]
use std::{hint::spin_loop, thread::yield_now};

use super::{AtomicBool, Ordering};
use std::{
    cell::UnsafeCell,
    fmt,
    ops::{Deref, DerefMut},
};

/// Looks at a taken lock before the core is offered to others.
const SPINS: u32 = if cfg!(mcp_loom) { 1 } else { 64 };

/// Mutual exclusion without parking; not fair, and never poisoned. What the
/// value begins with is in the line of the lock.
#[repr(C)]
pub(crate) struct Latch<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is only reached through a guard, of which there is one at a
// time, so sharing the latch only ever moves access to `T` between threads.
unsafe impl<T: Send> Sync for Latch<T> {}

impl<T> Latch<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> LatchGuard<'_, T> {
        if !self.take() {
            self.wait();
        }
        LatchGuard { latch: self }
    }

    #[inline]
    fn take(&self) -> bool {
        self.taken
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut spins = 0;
        loop {
            // Only reads while it is taken: the line stays with its holder.
            if !self.taken.load(Ordering::Relaxed) && self.take() {
                return;
            }
            if spins < SPINS {
                spins += 1;
                spin_loop();
            } else {
                yield_now();
            }
        }
    }
}

impl<T> fmt::Debug for Latch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").finish_non_exhaustive()
    }
}

pub(crate) struct LatchGuard<'a, T> {
    latch: &'a Latch<T>,
}

// SAFETY: a shared guard gives nothing but `&T`. (Without this it would be as
// `&Latch<T>` is, for which `T: Send` is enough, and it is not for `&T`.)
unsafe impl<T: Sync> Sync for LatchGuard<'_, T> {}

impl<T> Deref for LatchGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, from the acquiring exchange in
        // `lock` to the releasing store in `drop`.
        unsafe { &*self.latch.value.get() }
    }
}

impl<T> DerefMut for LatchGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { &mut *self.latch.value.get() }
    }
}

impl<T> Drop for LatchGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.latch.taken.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use std::{panic, thread};

    #[test]
    fn nothing_is_lost_between_eight_threads() {
        let latch = Latch::new(0u64);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20_000).for_each(|_| *latch.lock() += 1));
            }
        });
        assert_eq!(*latch.lock(), 160_000);
    }

    #[test]
    fn a_panic_inside_releases_it() {
        let latch = Latch::new(1);
        let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let _guard = latch.lock();
            panic!("inside");
        }));
        assert!(panicked.is_err());
        assert_eq!(*latch.lock(), 1);
    }
}

#[cfg(all(test, mcp_loom))]
mod loom_models {
    use super::*;
    use loom::{cell::UnsafeCell as Watched, sync::Arc, thread};

    /// Two threads change what it guards; loom watches the accesses.
    ///
    /// Seen to fail: with the store in `drop` relaxed; with the exchange in
    /// `take` relaxed; with `lock` not waiting.
    #[test]
    fn one_at_a_time_and_each_sees_the_other() {
        loom::model(|| {
            let latch = Arc::new(Latch::new(Watched::new(0)));
            let add = |latch: &Latch<Watched<u32>>| {
                let guard = latch.lock();
                // SAFETY: loom panics if two accesses meet.
                guard.with_mut(|value| unsafe { *value += 1 });
            };
            let other = Arc::clone(&latch);
            let thread = thread::spawn(move || add(&other));
            add(&latch);
            thread.join().expect("no panic");
            // SAFETY: as above.
            let sum = latch.lock().with(|value| unsafe { *value });
            assert_eq!(sum, 2);
        });
    }
}
