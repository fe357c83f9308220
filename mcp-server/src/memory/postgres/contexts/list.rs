//! Lists: which contexts are looked at, and which of them fit.

use tokio::task::spawn_blocking;
use tokio_postgres::Row;

use super::{
    super::{
        PostgresStore,
        fresh::HEAD,
        text::{loaded, stored},
    },
    alive, columns, kept,
};
use crate::{
    adapters::postgres::{Session, Sql},
    call::Call,
    context::{Candidate, ContextError, ContextId, List, Listed, Relevance, pack},
    memory::MemoryError,
};

/// The most contexts that one list looks at, the newest first.
const CANDIDATES_MAX: usize = 1_000;
/// The most content that one list reads to judge its relevance, in bytes.
const TEXT_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// One moment for both readings.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What is asked for, newest first; the texts only where $5 says so. The content before a row says
/// how much text there is up to it.
const CANDIDATES: Sql = Sql {
    name: "context.list",
    text: concat!(
        "SELECT c.revision, c.id, c.tokens, CASE WHEN $5 THEN c.tags END,
                CASE WHEN $5 THEN c.content END
           FROM (SELECT c.*, sum(octet_length(c.content)) OVER (ORDER BY c.revision DESC)
                        - octet_length(c.content) AS before
                   FROM (SELECT * FROM mcp_server.context c
                          WHERE c.owner = $1 AND ($2::text IS NULL OR c.class = $2)
                            AND c.tags @> $3::text[] AND ",
        alive!(),
        " ORDER BY c.revision DESC LIMIT $4) c) c
          WHERE NOT $5 OR c.before <= $6
          ORDER BY c.revision DESC"
    ),
};
const WHOLE: Sql = Sql {
    name: "context.listed",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM unnest($1::bigint[]) WITH ORDINALITY AS f(revision, n)
            JOIN mcp_server.context c USING (revision) ORDER BY f.n"
    ),
};
/// How many there are, up to one more than are looked at.
const COUNT: Sql = Sql {
    name: "context.count",
    text: concat!(
        "SELECT count(*) FROM (SELECT FROM mcp_server.context c
          WHERE c.owner = $1 AND ($2::text IS NULL OR c.class = $2) AND c.tags @> $3::text[] AND ",
        alive!(),
        " LIMIT $4) c"
    ),
};

impl PostgresStore {
    pub(super) async fn list_contexts(
        &self,
        call: &Call,
        list: List,
    ) -> Result<Listed, ContextError> {
        if self.database.has_replicas() {
            let session = self.database.any(call.lane, call.deadline).await?;
            if session.is_primary() {
                return listed(session, call, list).await;
            }
            match self.list_of_replica(session, call, list.clone()).await {
                Ok(Some(listed)) => return Ok(listed),
                Ok(None) => tracing::trace!("the replica is behind"),
                Err(error) => tracing::debug!(%error, "the replica does not answer"),
            }
        }
        let session = self.database.primary(call.lane, call.deadline).await?;
        listed(session, call, list).await
    }

    /// `None` if the replica has not all that is known.
    async fn list_of_replica(
        &self,
        mut session: Session,
        call: &Call,
        list: List,
    ) -> Result<Option<Listed>, ContextError> {
        session.begin(BEGIN).await?;
        let head = session.query(&HEAD, &[]).await?;
        match self.fresh.covers(&head, 0) {
            true => packed(session, call, list).await.map(Some),
            false => Ok(None),
        }
    }
}

async fn listed(mut session: Session, call: &Call, list: List) -> Result<Listed, ContextError> {
    session.begin(BEGIN).await?;
    packed(session, call, list).await
}

/// The list, in the transaction that was begun.
async fn packed(mut session: Session, call: &Call, list: List) -> Result<Listed, ContextError> {
    let owner = stored(call.owner.as_str()).into_owned();
    let class = list.class.map(|class| class.as_str());
    let tags: Vec<_> = list
        .tags
        .iter()
        .map(|tag| stored(tag).into_owned())
        .collect();
    let len_max = CANDIDATES_MAX as i64;
    let asks = list.query.is_some();
    let rows = session
        .query(
            &CANDIDATES,
            &[&owner, &class, &tags, &len_max, &asks, &TEXT_BYTES_MAX],
        )
        .await?;
    let one_more = len_max + 1;
    let count = session
        .query(&COUNT, &[&owner, &class, &tags, &one_more])
        .await?;
    let all = count
        .first()
        .map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
    let older = all > rows.len() as u64;
    let budget = list.budget_tokens.unwrap_or_default();
    // Words of megabytes are counted.
    let packing = spawn_blocking(move || pack(candidates(&rows, list.query.as_deref()), budget));
    let mut packed = packing.await.map_err(|error| MemoryError::Internal {
        reason: error.to_string(),
    })?;
    packed.left_out.older = older;
    let revisions: Vec<_> = packed.revisions.iter().map(|at| at.cast_signed()).collect();
    let rows = session.query(&WHOLE, &[&revisions]).await?;
    session.commit().await?;
    let contexts = rows.iter().map(|row| Ok(kept(row)?.context));
    Ok(Listed {
        contexts: contexts.collect::<Result<_, MemoryError>>()?,
        tokens: packed.tokens,
        left_out: packed.left_out,
    })
}

/// What is asked for, best first.
fn candidates(rows: &[Row], query: Option<&str>) -> Vec<Candidate> {
    let candidate = |row: &Row| Candidate {
        revision: row.get::<_, i64>(0).unsigned_abs(),
        id: ContextId::from(loaded(row.get(1))),
        tokens: row.get::<_, i64>(2).unsigned_abs(),
    };
    let Some(query) = query else {
        return rows.iter().map(candidate).collect();
    };
    let mut relevance = Relevance::new(query);
    for row in rows {
        let tags: Option<Vec<String>> = row.get(3);
        let tags = tags.unwrap_or_default().join(" ");
        let content: Option<&str> = row.get(4);
        let texts = [row.get(1), tags.as_str(), content.unwrap_or_default()];
        relevance.offer(row, texts);
    }
    relevance.ranked().into_iter().map(candidate).collect()
}
