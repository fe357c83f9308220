//! Atomics and locks: std's, or loom's under `--cfg mcp_loom`.
//!
//! A cfg of our own, because the plain `--cfg loom` also switches dependencies
//! that do not expect to run inside a model.

#[cfg(mcp_loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(mcp_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(mcp_loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Locks.
#[cfg(not(mcp_loom))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Locks.
#[cfg(mcp_loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic in a model")
}
