//! Removing what has expired, and the log of what the index has read long ago. Nobody sees either
//! any more; this gives the space back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{PostgresStore, log::TRIM};
use crate::{
    adapters::postgres::{Database, DatabaseError, Sql, Step, values},
    call::Lane,
};

/// How long after a sweep that left nothing the next one may run.
const INTERVAL_MS: i64 = 60_000;
/// How long after one that failed: somebody else may have been at it, or the writers too busy.
const AGAIN_MS: i64 = 1_000;
/// The most rows that one sweep removes, so that writes never wait long behind it.
const ROWS_MAX: i64 = 1_000;
/// The most entries of the log that one statement removes. Nobody waits for it: it locks nothing that
/// a writer or a reader needs.
const ENTRIES_MAX: i64 = 10_000;
/// How long a sweep may take: writes wait behind it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one statement may take that shortens the log.
const TRIM_PATIENCE: Duration = Duration::from_secs(5);

/// Sweeping is for one process at a time: the others go on with what they are at.
const BEGIN: &str =
    "BEGIN; SET LOCAL lock_timeout = '20ms'; SELECT FROM mcp_server.head FOR UPDATE";

const MEMORIES: Sql = Sql {
    name: "sweep.memories",
    text: "WITH gone AS (
        DELETE FROM mcp_server.memory WHERE place IN
            (SELECT place FROM mcp_server.memory WHERE expires_at <= mcp_server.now_ms() LIMIT $1)
        RETURNING 1
    ) SELECT count(*) FROM gone",
};
const CONTEXTS: Sql = Sql {
    name: "sweep.contexts",
    text: "WITH gone AS (
        DELETE FROM mcp_server.context WHERE revision IN
            (SELECT revision FROM mcp_server.context
              WHERE expires_at <= mcp_server.now_ms() LIMIT $1)
        RETURNING revision
    ), noted AS (
        UPDATE mcp_server.head SET swept = greatest(swept, (SELECT max(revision) FROM gone))
         WHERE EXISTS (SELECT FROM gone)
    ) SELECT count(*) FROM gone",
};

/// Sweeps behind writes: a store that nobody writes to does not grow, so it needs no timer.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    /// Milliseconds since 1970; 0 when more is known to be left.
    next: Arc<AtomicI64>,
}

impl PostgresStore {
    /// Begins a sweep if it is time for one. Does not wait for it.
    pub(super) fn sweep_if_due(&self) {
        let now = Timestamp::now().as_millisecond();
        let next = &self.sweeper.next;
        let due = next.load(Ordering::Relaxed);
        let mine = || {
            next.compare_exchange(due, now + INTERVAL_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if now < due || !mine() {
            return;
        }
        let (next, database) = (next.clone(), self.database.clone());
        let forgettable = self.index.forgettable();
        self.tasks.spawn(async move {
            // Each by itself: the log grows with every write, whether or not a sweep finds its turn.
            let trimmed = trim(&database, forgettable).await;
            let again = match (trimmed, sweep(&database).await) {
                (Ok(()), Ok(false)) => return,
                (Ok(()), Ok(true)) => 0,
                (Err(error), _) | (_, Err(error)) => {
                    tracing::debug!(%error, "what nobody needs any more could not be removed");
                    Timestamp::now().as_millisecond() + AGAIN_MS
                }
            };
            next.store(again, Ordering::Relaxed);
        });
    }
}

/// Shortens the log to what is still of use.
async fn trim(database: &Database, forgettable: i64) -> Result<(), DatabaseError> {
    loop {
        let deadline = Some(Instant::now() + TRIM_PATIENCE);
        let mut session = database.primary(Lane::Other, deadline).await?;
        let rows = session.query(&TRIM, &[&forgettable, &ENTRIES_MAX]).await?;
        let gone: i64 = rows.first().map_or(0, |row| row.get(0));
        if gone < ENTRIES_MAX {
            return Ok(());
        }
    }
}

/// Removes what has expired, and says whether there is more.
async fn sweep(database: &Database) -> Result<bool, DatabaseError> {
    let deadline = Some(Instant::now() + PATIENCE);
    let mut session = database.primary(Lane::Other, deadline).await?;
    let step = |sql| Step {
        sql,
        values: values![ROWS_MAX],
    };
    let rows = session
        .transact(BEGIN, &[step(&MEMORIES), step(&CONTEXTS)])
        .await?;
    let most = rows
        .iter()
        .filter_map(|rows| rows.first())
        .map(|row| row.get::<_, i64>(0))
        .max()
        .unwrap_or_default();
    Ok(most == ROWS_MAX)
}
