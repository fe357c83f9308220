//! Removing what has expired, and the log of what the index has read long ago. Nobody sees either
//! any more; this gives the space back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{contexts, executor::Executor, group::in_transaction, index, rows};
use crate::memory::search::LiveIndex;

/// How long after a sweep that left nothing the next one may run.
const INTERVAL_MS: i64 = 60_000;
/// The most rows that one sweep removes, so that writes never wait long behind it.
const ROWS_MAX: usize = 1_000;
/// How long a sweep waits for another process that writes: writes wait behind it.
const PATIENCE: Duration = Duration::from_millis(20);

/// Sweeps behind writes: a store that nobody writes to does not grow, so it needs no timer.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    /// Milliseconds since 1970; 0 when more is known to be left.
    next: Arc<AtomicI64>,
}

impl Sweeper {
    /// Queues a sweep if it is time for one. Does not wait for it.
    pub(super) fn sweep_if_due(&self, writer: &Executor, live: &Arc<LiveIndex>) {
        let now = rows::now_ms();
        let next = self.next.load(Ordering::Relaxed);
        let mine = || {
            let later = now.saturating_add(INTERVAL_MS);
            self.next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if now < next || !mine() {
            return;
        }
        let next = self.next.clone();
        let live = live.clone();
        let queued = writer.submit(Box::new(move |connection| {
            let swept = in_transaction(connection, PATIENCE, &|| false, |tx| {
                let more = index::trim(tx, live.forgettable())?;
                let rows = rows::sweep_expired(tx, ROWS_MAX)?;
                let contexts = contexts::sweep_expired(tx, ROWS_MAX)?;
                Ok((rows + contexts, more || rows.max(contexts) == ROWS_MAX))
            });
            match swept {
                Ok((rows, more)) => {
                    if rows > 0 {
                        tracing::debug!(rows, "removed what had expired");
                    }
                    if more {
                        next.store(0, Ordering::Relaxed);
                    }
                }
                Err(error) => tracing::warn!(%error, "what has expired could not be removed"),
            }
        }));
        if let Err(error) = queued {
            tracing::debug!(%error, "no room for a sweep; the next one makes up for it");
        }
    }
}
