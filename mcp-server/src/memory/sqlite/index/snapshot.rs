//! The index as searches see it: always as new as the snapshot of the database that they read.

use std::sync::{RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, Transaction};

use super::changes;
use crate::memory::{
    MemoryError,
    search::{Basis, Change, Layers, LiveIndex, Overlay, Query},
};

/// Searches, then reads what was found in the same snapshot of the database.
///
/// In a transaction that writes, its own changes are found, too; otherwise a transaction is begun.
/// `stop` says that nobody waits for the answer any more.
pub(in super::super) fn search<T>(
    index: &LiveIndex,
    db: &Connection,
    query: &Query,
    stop: &dyn Fn() -> bool,
    read: impl FnOnce(&Connection, Basis) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    if db.is_autocommit() {
        let (layers, snapshot) = current(index, db)?;
        let basis = index.guarded(&layers, None, layers.upto, query, stop)?;
        drop(layers);
        return read(&snapshot, basis);
    }
    let layers = index.read();
    let mut own = Overlay::default();
    let upto = catch_up(index, db, layers.upto, &mut own)?;
    let basis = index.guarded(&layers, Some(&own), upto, query, stop)?;
    drop(layers);
    read(db, basis)
}

/// A snapshot of the database, and layers that have read exactly as far.
fn current<'a, 'c>(
    index: &'a LiveIndex,
    db: &'c Connection,
) -> Result<(RwLockReadGuard<'a, Layers>, Transaction<'c>), MemoryError> {
    // The snapshot begins while the layers are held, so it is never older than they are.
    let layers = index.read();
    let snapshot = db.unchecked_transaction()?;
    if changes::head(&snapshot)? == layers.upto {
        return Ok((layers, snapshot));
    }
    drop(layers);
    drop(snapshot);
    let mut layers = index.write();
    let snapshot = db.unchecked_transaction()?;
    let upto = layers.upto;
    layers.upto = catch_up(index, &snapshot, upto, &mut layers.overlay)?;
    Ok((RwLockWriteGuard::downgrade(layers), snapshot))
}

/// Reads the log from `upto` to its end into `overlay`, unless that is too much.
fn catch_up(
    index: &LiveIndex,
    db: &Connection,
    upto: i64,
    overlay: &mut Overlay,
) -> Result<i64, MemoryError> {
    let head = changes::head(db)?;
    if head == upto {
        index.note_current();
        return Ok(upto);
    }
    index.reaches(overlay, upto, head, changes::first(db)?)?;
    changes::after(db, upto, i64::MAX, |_, change: Change| {
        overlay.apply(change);
    })
    .map_err(MemoryError::from)
}
