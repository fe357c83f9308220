//! Atomics and locks: std's, or loom's under `--cfg mcp_loom`.
//!
//! A cfg of our own, because the plain `--cfg loom` also switches dependencies
//! that do not expect to run inside a model.

#[cfg(mcp_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
#[cfg(not(mcp_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use std::sync::PoisonError;

/// Locks, and ignores poison: no critical section here runs foreign code that
/// could panic half-way through an update.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
