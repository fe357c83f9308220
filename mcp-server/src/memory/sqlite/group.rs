//! The writes of many callers in one transaction, each as a whole or not at all.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::time::Instant;

use super::{
    budget::Budget,
    executor::{Stop, caught},
    index::LiveIndex,
    open::patiently,
    rows, search,
};
use crate::memory::{MemoryError, Operation, Outcome, Owner, Write, Written};

/// What the operations of any caller need.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) index: Arc<LiveIndex>,
    pub(super) answer_bytes_max: usize,
}

/// Runs all writes in one transaction. `Err`: nothing of any of them was done.
pub(super) fn run(
    tx: &Transaction<'_>,
    scope: &Scope,
    writes: &[Write],
) -> Result<Vec<Written>, MemoryError> {
    if let [alone] = writes {
        return Ok(vec![Ok(run_write(tx, scope, alone)?)]);
    }
    writes
        .iter()
        .map(|write| apart(tx, || run_write(tx, scope, write)))
        .collect()
}

/// Runs `job` so that its failure undoes what it has done and nothing else. `Err`: the failure cost
/// the whole transaction, as that of a disk may.
fn apart<T>(
    tx: &Transaction<'_>,
    job: impl FnOnce() -> Result<T, MemoryError>,
) -> Result<Result<T, MemoryError>, MemoryError> {
    tx.prepare_cached("SAVEPOINT write")?.execute([])?;
    let result = caught(job);
    if let Err(error) = &result {
        if tx.is_autocommit() {
            return Err(error.clone());
        }
        tx.prepare_cached("ROLLBACK TO write")?.execute([])?;
    }
    tx.prepare_cached("RELEASE write")?.execute([])?;
    Ok(result)
}

fn run_write(tx: &Connection, scope: &Scope, write: &Write) -> Written {
    let deadline = write.call.deadline;
    let stop = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    match stop() {
        true => Err(MemoryError::Timeout),
        false => run_all(tx, scope, &write.call.owner, &write.operations, &stop),
    }
}

/// Runs operations in order. What the caller got wrong fails by itself, always before it has written
/// anything; what the database gets wrong fails them all. When the time is over, what only reads
/// answers what it has, and what writes does nothing at all.
pub(super) fn run_all(
    db: &Connection,
    scope: &Scope,
    owner: &Owner,
    operations: &[Operation],
    stop: Stop<'_>,
) -> Written {
    let only_reads = db.is_autocommit();
    let mut budget = Budget::new(scope.answer_bytes_max);
    let mut one = |operation| match stop() {
        true => Err(MemoryError::Timeout),
        false => run_one(db, scope, owner, operation, &mut budget, stop),
    };
    operations
        .iter()
        .map(|operation| match one(operation) {
            Err(MemoryError::Timeout) if !only_reads => Err(MemoryError::Timeout),
            Err(
                error @ (MemoryError::NotFound { .. }
                | MemoryError::VersionConflict { .. }
                | MemoryError::AnswerTooLarge { .. }
                | MemoryError::IndexNotReady { .. }
                | MemoryError::Timeout),
            ) => Ok(Err(error)),
            Err(error) => Err(error),
            Ok(outcome) => Ok(Ok(outcome)),
        })
        .collect()
}

fn run_one(
    db: &Connection,
    scope: &Scope,
    owner: &Owner,
    operation: &Operation,
    budget: &mut Budget,
    stop: Stop<'_>,
) -> Result<Outcome, MemoryError> {
    Ok(match operation {
        Operation::Add(add) => Outcome::Added(rows::add(db, owner, add)?),
        Operation::Search(search) => Outcome::Found(search::search(
            db,
            &scope.index,
            owner,
            search,
            budget,
            stop,
        )?),
        Operation::Get(get) => Outcome::Memory(rows::get(db, owner, get, budget)?.into()),
        Operation::Update(update) => Outcome::Updated(rows::update(db, owner, update)?),
        Operation::Delete(delete) => Outcome::Deleted(rows::delete(db, owner, delete)?),
    })
}

/// Takes the write lock at once: a lock that is upgraded half-way can only fail. Waits for another
/// process that has it, for up to `patience` and until `stop`.
pub(super) fn in_transaction<T>(
    connection: &Connection,
    patience: Duration,
    stop: Stop<'_>,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    let begin = || Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let tx = patiently(patience, stop, begin)?;
    let value = job(&tx)?;
    commit(tx)?;
    Ok(value)
}

fn commit(tx: Transaction<'_>) -> Result<(), MemoryError> {
    tx.commit()
        .map_err(|error| match error.sqlite_error_code() {
            // Part of the transaction may have reached the disk, and the rest may follow.
            Some(ErrorCode::SystemIoFailure) => MemoryError::OutcomeUnknown {
                reason: error.to_string(),
                late: false,
            },
            _ => error.into(),
        })
}
