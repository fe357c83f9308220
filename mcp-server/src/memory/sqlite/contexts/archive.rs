//! Whole contexts in and out, for copies.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

use super::{COLUMNS, apart, kept, now_ms, tags_json};
use crate::{
    call::Lane,
    context::{Content, Context, ContextError, Kept},
    memory::{MemoryError, Owner, Restored, sqlite::SqliteStore},
    ports::ContextArchive,
};

#[async_trait]
impl ContextArchive for SqliteStore {
    async fn context_page(
        &self,
        owner: &Owner,
        after: u64,
        len_max: usize,
    ) -> Result<Vec<Kept>, ContextError> {
        let owner = owner.clone();
        self.readers
            .run(Lane::Other, None, move |db, _| {
                apart(page(db, &owner, after, len_max))
            })
            .await?
    }

    async fn restore_contexts(
        &self,
        owner: &Owner,
        contexts: Vec<Context>,
    ) -> Result<Vec<Restored>, ContextError> {
        let owner = owner.clone();
        let restore = move |tx: &Transaction<'_>| {
            let restored = contexts.iter().map(|context| restore(tx, &owner, context));
            restored.collect::<Result<_, MemoryError>>()
        };
        Ok(self.write(0, None, restore).await?)
    }
}

fn page(
    db: &Connection,
    owner: &Owner,
    after: u64,
    len_max: usize,
) -> Result<Vec<Kept>, ContextError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM context WHERE owner = :owner AND revision > :after
            AND (expires_at IS NULL OR expires_at > :now) ORDER BY revision LIMIT :len_max"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let page = statement.query_map(
        named_params! {
            ":owner": owner.as_str(), ":after": after, ":now": now_ms(), ":len_max": len_max,
        },
        kept,
    )?;
    Ok(page.collect::<rusqlite::Result<_>>()?)
}

fn restore(db: &Connection, owner: &Owner, context: &Context) -> Result<Restored, MemoryError> {
    let key = named_params! {":owner": owner.as_str(), ":id": context.id.as_str()};
    let old: Option<(u64, i64, u64)> = db
        .prepare_cached(
            "SELECT version, updated_at, reads FROM context WHERE owner = :owner AND id = :id",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let updated_at = context.updated_at.as_millisecond();
    if let Some((version, changed, _)) = old
        && (version, changed) >= (context.version, updated_at)
    {
        return Ok(Restored::Kept);
    }
    let (actual, reads) = old.map_or((0, 0), |(version, _, reads)| (version, reads));
    db.prepare_cached("DELETE FROM context WHERE owner = :owner AND id = :id")?
        .execute(key)?;
    db.prepare_cached(
        "INSERT INTO context (owner, id, class, content, is_json, tags, tokens, version,
                              created_at, updated_at, expires_at, reads)
         VALUES (:owner, :id, :class, :content, :is_json, :tags, :tokens, :version,
                 :created_at, :updated_at, :expires_at, :reads)",
    )?
    .execute(named_params! {
        ":owner": owner.as_str(),
        ":id": context.id.as_str(),
        ":class": context.class.as_str(),
        ":content": context.content.as_text(),
        ":is_json": matches!(context.content, Content::Object(_)),
        ":tags": tags_json(&context.tags),
        ":tokens": context.tokens,
        ":version": context.version.max(actual + 1),
        ":created_at": context.created_at.as_millisecond(),
        ":updated_at": updated_at,
        ":expires_at": context.expires_at.map(|at| at.as_millisecond()),
        ":reads": reads,
    })?;
    Ok(match old {
        None => Restored::Added,
        Some(_) => Restored::Replaced,
    })
}
