//! Calls into code of others, whose panics end here.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// `None` if it panicked. What it was given is not looked at again by whoever
/// gets `None`, so that nothing half-changed is seen.
pub(crate) fn caught<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Drops each one by itself: a value whose drop panics takes no other along,
/// and two of them do not abort the process.
pub(crate) fn drop_each<I>(values: impl IntoIterator<Item = I>) {
    for value in values {
        let _ = caught(|| drop(value));
    }
}
