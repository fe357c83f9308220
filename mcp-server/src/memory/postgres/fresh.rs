//! What a read must see, and which server has it.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio_postgres::Row;

use super::PostgresStore;
use crate::{
    adapters::postgres::{Sql, Step},
    call::Call,
    memory::MemoryError,
};

/// How far the changes of memories and contexts go, on the server that is asked.
pub(super) const HEAD: Sql = Sql {
    name: "head",
    text: "SELECT sequence, revision FROM mcp_server.head",
};

/// The last changes that this process knows of: what it wrote itself, and what it was told that
/// others have. Every read sees them, whichever server answers it.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    sequence: AtomicI64,
    revision: AtomicI64,
}

impl Fresh {
    /// Takes note of the rows of a [`HEAD`] behind a write.
    pub(super) fn saw_own(&self, rows: &[Row]) {
        if let Some(row) = rows.first() {
            self.saw(row.get(0));
            self.saw_revision(row.get(1));
        }
    }

    pub(super) fn saw(&self, sequence: i64) {
        self.sequence.fetch_max(sequence, Ordering::AcqRel);
    }

    pub(super) fn saw_revision(&self, revision: i64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    /// Whether a server that answers [`HEAD`] with `rows` has all that is known, and the change
    /// `least`.
    pub(super) fn covers(&self, rows: &[Row], least: i64) -> bool {
        let Some(row) = rows.first() else {
            return false;
        };
        let (sequence, revision): (i64, i64) = (row.get(0), row.get(1));
        sequence >= least
            && sequence >= self.sequence.load(Ordering::Acquire)
            && revision >= self.revision.load(Ordering::Acquire)
    }
}

impl PostgresStore {
    /// Runs `steps`, which only read, on a replica that has all that this process knows of, and at
    /// least the change `least`; or else on the primary.
    pub(super) async fn read(
        &self,
        call: &Call,
        least: i64,
        steps: Vec<Step>,
    ) -> Result<Vec<Vec<Row>>, MemoryError> {
        if !self.database.has_replicas() {
            let mut session = self.database.primary(call.lane, call.deadline).await?;
            return Ok(session.pipeline(&steps).await?);
        }
        let mut session = self.database.any(call.lane, call.deadline).await?;
        if session.is_primary() {
            return Ok(session.pipeline(&steps).await?);
        }
        // The head comes first: what the statements behind it see is at least as new.
        let head = Step {
            sql: &HEAD,
            values: Vec::new(),
        };
        let mut steps: Vec<_> = std::iter::once(head).chain(steps).collect();
        match session.pipeline(&steps).await {
            Ok(mut rows) if self.fresh.covers(&rows[0], least) => {
                rows.remove(0);
                return Ok(rows);
            }
            Ok(_) => tracing::trace!("the replica is behind"),
            Err(error) => tracing::debug!(%error, "the replica does not answer"),
        }
        drop(session);
        steps.remove(0);
        let mut session = self.database.primary(call.lane, call.deadline).await?;
        Ok(session.pipeline(&steps).await?)
    }
}
