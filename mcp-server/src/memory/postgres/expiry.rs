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
/// The most rows that one sweep removes, so that writes never wait long behind it.
const ROWS_MAX: i64 = 1_000;
/// How long a sweep may take: writes wait behind it.
const PATIENCE: Duration = Duration::from_millis(500);

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
            match sweep(&database, forgettable).await {
                Ok(true) => next.store(0, Ordering::Relaxed),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "what has expired could not be removed"),
            }
        });
    }
}

/// Whether there is more.
async fn sweep(database: &Database, forgettable: i64) -> Result<bool, DatabaseError> {
    let deadline = Some(Instant::now() + PATIENCE);
    let mut session = database.primary(Lane::Other, deadline).await?;
    let step = |sql, value: i64| Step {
        sql,
        values: values![value],
    };
    let steps = [
        step(&MEMORIES, ROWS_MAX),
        step(&CONTEXTS, ROWS_MAX),
        step(&TRIM, forgettable),
    ];
    let rows = session.transact(BEGIN, &steps).await?;
    let swept = rows.iter().take(2).filter_map(|rows| rows.first());
    let most = swept
        .map(|row| row.get::<_, i64>(0))
        .max()
        .unwrap_or_default();
    Ok(most == ROWS_MAX)
}
