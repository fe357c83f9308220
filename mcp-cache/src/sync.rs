//! Atomics and locks: std's, or loom's under `--cfg mcp_loom`.
//!
//! A cfg of our own, because the plain `--cfg loom` also switches dependencies
//! that do not expect to run inside a model.

mod latch;

pub(crate) use latch::{Latch, LatchGuard};

#[cfg(mcp_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
#[cfg(not(mcp_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(mcp_loom)]
pub(crate) use loom::sync::Arc;
#[cfg(not(mcp_loom))]
pub(crate) use std::sync::Arc;

pub(crate) use std::sync::{PoisonError, TryLockError};

/// Locks, and ignores poison: foreign code that runs in a critical section (a key's
/// `Eq`, a value's `Clone`) runs before anything is changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading, and ignores poison: nothing here panics half-way through an update.
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`read`], alone.
#[inline]
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a field two cache lines of its own (two, because of the adjacent-line
/// prefetcher), so that writers of one field do not slow readers of another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
