//! Full-text search: the caller's words as an FTS5 query, the rows ranked by BM25.

use std::collections::HashSet;

use rusqlite::{Connection, named_params};

use super::{
    budget::Budget,
    rows::{COLUMNS, memory, now_ms, weight},
};
use crate::memory::{Found, Hit, MemoryError, Owner, Search};

/// The most distinct words of a query that are looked up: the cost of a search grows with them.
const TERMS_MAX: usize = 64;

pub(super) fn search(
    db: &Connection,
    owner: &Owner,
    search: &Search,
    budget: &mut Budget,
) -> Result<Found, MemoryError> {
    let Some(words) = match_expression(&search.query) else {
        return Ok(Found::default());
    };
    let sql = format!(
        "SELECT {COLUMNS}, -bm25(memory_words)
           FROM memory_words JOIN memory m ON m.row = memory_words.rowid
          WHERE memory_words MATCH :words
            AND m.owner = :owner
            AND (:namespace IS NULL OR m.namespace = :namespace)
            AND (m.expires_at IS NULL OR m.expires_at > :now)
            AND NOT EXISTS (SELECT 1 FROM json_each(:tags) wanted
                             WHERE wanted.value NOT IN (SELECT value FROM json_each(m.tags)))
          ORDER BY rank LIMIT :limit"
    );
    let tags = serde_json::to_string(&search.tags).expect("strings are always JSON");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":words": words,
        ":owner": owner.as_str(),
        ":namespace": search.namespace,
        ":now": now_ms(),
        ":tags": tags,
        ":limit": search.limit,
    })?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        if budget.take(weight(row)?).is_err() {
            found.truncated = true;
            break;
        }
        found.memories.push(Hit {
            memory: memory(row)?,
            score: row.get(9)?,
        });
    }
    Ok(found)
}

/// Any of the query's words, each quoted, so that no character of a caller is query syntax.
/// `None` when there is no word at all.
fn match_expression(query: &str) -> Option<String> {
    let mut seen = HashSet::new();
    let terms: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric() && !is_combining(c))
        .filter(|term| !term.is_empty())
        .map(str::to_lowercase)
        .filter(|term| seen.insert(term.clone()))
        .take(TERMS_MAX)
        .map(|term| format!("\"{term}\""))
        .collect();
    (!terms.is_empty()).then(|| terms.join(" OR "))
}

/// Accents written as characters of their own; the index folds them into their letter, so they must
/// not end a word.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::match_expression;

    #[test]
    fn queries_become_quoted_words() {
        let check = |query, expect: Option<&str>| {
            assert_eq!(match_expression(query).as_deref(), expect, "{query:?}");
        };
        check("Rust  async", Some(r#""rust" OR "async""#));
        check("a AND NOT b*", Some(r#""a" OR "and" OR "not" OR "b""#));
        check(r#"say "hi" (now)"#, Some(r#""say" OR "hi" OR "now""#));
        check("content:x -y", Some(r#""content" OR "x" OR "y""#));
        check("twice Twice TWICE", Some(r#""twice""#));
        check("日本語 текст", Some(r#""日本語" OR "текст""#));
        check("Zo\u{308}llner", Some("\"zo\u{308}llner\""));
        check("?! -- \"\"", None);
        let long = (0..100).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(match_expression(&long).unwrap().matches('w').count(), 64);
    }
}
