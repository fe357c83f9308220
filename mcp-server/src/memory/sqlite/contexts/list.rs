//! Lists: which contexts are looked at, and which of them fit.

use rusqlite::{Connection, Row, ToSql, named_params};

use super::{super::rows::tags_json, COLUMNS, kept, now_ms};
use crate::{
    context::{Candidate, ContextError, ContextId, List, Listed, Relevance, pack},
    memory::{MemoryError, Owner},
};

/// The most contexts that one list looks at, the newest first.
const CANDIDATES_MAX: usize = 1_000;
/// The most content that one list reads to judge its relevance, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// `gone` says that nobody waits for the answer any more.
pub(super) fn list(
    db: &Connection,
    owner: &Owner,
    list: &List,
    gone: &dyn Fn() -> bool,
) -> Result<Listed, ContextError> {
    // One moment for both readings.
    let snapshot = db.unchecked_transaction()?;
    let (candidates, older) = candidates(&snapshot, owner, list, gone)?;
    let mut packed = pack(candidates, list.budget_tokens.unwrap_or_default());
    packed.left_out.older = older;
    let sql = format!("SELECT {COLUMNS} FROM context WHERE revision = ?1");
    let mut statement = snapshot.prepare_cached(&sql)?;
    let mut read = |revision| statement.query_row([revision], kept);
    let contexts = packed.revisions.into_iter();
    let contexts: rusqlite::Result<_> = contexts.map(|at| Ok(read(at)?.context)).collect();
    Ok(Listed {
        contexts: contexts?,
        tokens: packed.tokens,
        left_out: packed.left_out,
    })
}

/// What is asked for, best first, and whether there is more that was not looked at.
fn candidates(
    db: &Connection,
    owner: &Owner,
    list: &List,
    gone: &dyn Fn() -> bool,
) -> Result<(Vec<Candidate>, bool), ContextError> {
    let mut candidates = Vec::new();
    let mut relevance = list.query.as_deref().map(Relevance::new);
    let mut text_bytes = 0;
    let older = each_newest(db, owner, list, |row| {
        if gone() {
            return Err(ContextError::Store(MemoryError::Unavailable {
                reason: "nobody waits for the list any more".to_owned(),
            }));
        }
        if candidates.len() == CANDIDATES_MAX || text_bytes > TEXT_BYTES_MAX {
            return Ok(false);
        }
        if let Some(relevance) = &mut relevance {
            let (tags, content) = (row.get_ref(3)?, row.get_ref(4)?);
            let text = |column: rusqlite::types::ValueRef<'_>| {
                column.as_str().map_err(rusqlite::Error::from).map(str::len)
            };
            text_bytes += text(tags)? + text(content)?;
            let id = row.get_ref(1)?;
            let texts = [id, tags, content].map(|column| column.as_str().unwrap_or_default());
            relevance.offer(candidates.len(), texts);
        }
        candidates.push(Candidate {
            revision: row.get(0)?,
            id: ContextId::from(row.get::<_, String>(1)?),
            tokens: row.get(2)?,
        });
        Ok(true)
    })?;
    let Some(relevance) = relevance else {
        return Ok((candidates, older));
    };
    let mut candidates: Vec<_> = candidates.into_iter().map(Some).collect();
    let ranked = relevance.ranked().into_iter();
    Ok((
        ranked.filter_map(|at| candidates[at].take()).collect(),
        older,
    ))
}

/// Shows the rows of `list`, newest first, until `visit` has had enough; whether it had.
fn each_newest(
    db: &Connection,
    owner: &Owner,
    list: &List,
    mut visit: impl FnMut(&Row<'_>) -> Result<bool, ContextError>,
) -> Result<bool, ContextError> {
    let class = list.class.map(|class| class.as_str());
    let of_class = match class {
        Some(_) => "AND c.class = :class",
        // The parameter must be there, and an index without it be used.
        None => "AND :class IS NULL",
    };
    let sql = format!(
        "SELECT c.revision, c.id, c.tokens, c.tags, c.content FROM context c
          WHERE c.owner = :owner {of_class} AND (c.expires_at IS NULL OR c.expires_at > :now)
            AND NOT EXISTS (SELECT 1 FROM json_each(:tags) wanted WHERE wanted.value NOT IN
                            (SELECT value FROM json_each(c.tags)))
          ORDER BY c.revision DESC"
    );
    let tags = tags_json(&list.tags);
    let parameters: &[(&str, &dyn ToSql)] = named_params! {
        ":owner": owner.as_str(), ":class": class, ":now": now_ms(), ":tags": tags,
    };
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        if !visit(row)? {
            return Ok(true);
        }
    }
    Ok(false)
}
