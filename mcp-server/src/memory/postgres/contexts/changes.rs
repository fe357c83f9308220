//! What is new and what is read often.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::super::{
    PostgresStore,
    group::BEGIN,
    text::{loaded, stored},
};
use crate::{
    adapters::postgres::{DatabaseError, Sql, Step, values},
    call::{Call, Lane},
    context::{ContextChanges, ContextId, ContextKey},
    memory::{MemoryError, Owner},
};

/// The most changes that are told one by one.
const CHANGES_MAX: usize = 1_000;

/// What was put after $1, and with it how far the puts go, and up to where they were swept.
const CHANGES: Sql = Sql {
    name: "context.changes",
    text: "SELECT c.owner, c.id, c.revision, h.revision, h.swept
             FROM mcp_server.head h LEFT JOIN mcp_server.context c ON c.revision > $1
            ORDER BY c.revision LIMIT $2",
};
const NEWEST: Sql = Sql {
    name: "context.newest",
    text: "SELECT owner, id FROM mcp_server.context
            WHERE expires_at IS NULL OR expires_at > mcp_server.now_ms()
            ORDER BY revision DESC LIMIT $1",
};
const POPULAR: Sql = Sql {
    name: "context.popular",
    text: "SELECT owner, id FROM mcp_server.context
            WHERE reads > 0 AND (expires_at IS NULL OR expires_at > mcp_server.now_ms())
            ORDER BY reads DESC LIMIT $1",
};
const COUNT: Sql = Sql {
    name: "context.count_reads",
    text: "UPDATE mcp_server.context c SET reads = c.reads + n.reads
             FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n(owner, id, reads)
            WHERE c.owner = n.owner AND c.id = n.id",
};

impl PostgresStore {
    pub(super) async fn context_changes(
        &self,
        revision: u64,
    ) -> Result<ContextChanges, MemoryError> {
        let after = i64::try_from(revision).unwrap_or(i64::MAX);
        let len_max = CHANGES_MAX as i64 + 1;
        let mut session = self.database.primary(Lane::Other, None).await?;
        let rows = session.query(&CHANGES, &[&after, &len_max]).await?;
        let mut changes = ContextChanges::default();
        let mut swept = 0;
        for row in &rows {
            changes.revision = row.get::<_, i64>(3).unsigned_abs();
            swept = row.get(4);
            if let Some(revision) = row.get::<_, Option<i64>>(2) {
                changes.puts.push((key(row), revision.unsigned_abs()));
            }
        }
        // What was put and swept meanwhile has left no other trace.
        changes.complete =
            swept <= after && changes.puts.len() <= CHANGES_MAX && revision <= changes.revision;
        self.fresh
            .saw_revision(i64::try_from(changes.revision).unwrap_or_default());
        Ok(changes)
    }

    pub(super) async fn hottest_contexts(
        &self,
        recent: u32,
        popular: u32,
    ) -> Result<Vec<ContextKey>, MemoryError> {
        let steps = vec![
            Step {
                sql: &NEWEST,
                values: values![i64::from(recent)],
            },
            Step {
                sql: &POPULAR,
                values: values![i64::from(popular)],
            },
        ];
        let rows = self.read(&Call::local(), 0, steps).await?;
        let mut seen = HashSet::new();
        let keys = rows.iter().flatten().map(key);
        Ok(keys.filter(|key| seen.insert(key.clone())).collect())
    }

    pub(super) async fn count_context_reads(
        &self,
        reads: &[(ContextKey, u64)],
    ) -> Result<(), MemoryError> {
        let text = |of: &dyn Fn(&ContextKey) -> String| -> Vec<String> {
            reads.iter().map(|(key, _)| of(key)).collect()
        };
        let owners = text(&|key| stored(key.owner.as_str()).into_owned());
        let ids = text(&|key| stored(key.id.as_str()).into_owned());
        let counts = reads
            .iter()
            .map(|(_, reads)| i64::try_from(*reads).unwrap_or(i64::MAX));
        let counts: Vec<i64> = counts.collect();
        let count = Step {
            sql: &COUNT,
            values: values![owners, ids, counts],
        };
        let mut session = self.database.primary(Lane::Other, None).await?;
        let counted = session.transact(BEGIN, &[count]).await;
        counted.map_err(DatabaseError::of_commit)?;
        Ok(())
    }
}

fn key(row: &Row) -> ContextKey {
    ContextKey {
        owner: Owner::new(&loaded(row.get(0))),
        id: ContextId::from(loaded(row.get(1))),
    }
}
