//! A permit held by a guarded future.

use crate::{Settle, Verdict};

/// Holds a permit while a guarded future lives. Dropped, the call was
/// cancelled, also if the drop is part of a panic: that panic may well be the
/// caller's own. A panic inside [`watch`](Self::watch) is the dependency's.
pub(crate) struct Held<P: Settle>(Option<P>);

impl<P: Settle> Held<P> {
    pub(crate) fn new(permit: P) -> Self {
        Self(Some(permit))
    }

    /// Runs a part of the guarded call; if it panics, the call has failed.
    ///
    /// That is settled while the panic unwinds and not when the future is
    /// dropped: a layer that catches panics drops it later, or never.
    #[inline]
    pub(crate) fn watch<R>(&mut self, part: impl FnOnce() -> R) -> R {
        let mut guard = FailOnPanic {
            permit: &mut self.0,
            returned: false,
        };
        let result = part();
        guard.returned = true;
        result
    }

    /// The call ended with this verdict.
    ///
    /// # Panics
    /// If it has ended before: the future is polled after completion.
    #[inline]
    pub(crate) fn settle(&mut self, verdict: Verdict) {
        let permit = self.0.take().expect("polled after completion");
        permit.settle(verdict);
    }
}

impl<P: Settle> Drop for Held<P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.cancel();
        }
    }
}

struct FailOnPanic<'a, P: Settle> {
    permit: &'a mut Option<P>,
    returned: bool,
}

impl<P: Settle> Drop for FailOnPanic<'_, P> {
    fn drop(&mut self) {
        if !self.returned
            && let Some(permit) = self.permit.take()
        {
            permit.settle(Verdict::FAILURE);
        }
    }
}
