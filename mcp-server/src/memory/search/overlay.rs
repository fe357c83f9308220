//! The layer in memory: what has been written since the layer below was made.

use std::collections::HashMap;

use super::{
    Best, Change, Document, IndexError, Query, SearchIndex, Statistics, Words,
    query::{namespace_scope, owner_scope},
};

/// A searchable set of changes. Small by intent: its owner moves it to disk and begins a new one.
#[derive(Debug, Default)]
pub struct Overlay {
    entries: Vec<Entry>,
    /// Where the newest state of each row is; `None`: it is gone.
    rows: HashMap<i64, Option<u32>>,
    scopes: HashMap<String, Scope>,
}

/// A memory, in the state it was once in.
#[derive(Debug)]
struct Entry {
    row: i64,
    norm: u8,
    tags: Vec<String>,
    expires_at: Option<i64>,
}

/// The words of one owner's memories, or of one namespace of them.
#[derive(Debug, Default)]
struct Scope {
    documents: u64,
    /// Their lengths together.
    len: u64,
    words: HashMap<String, Vec<Posting>>,
}

#[derive(Debug, Clone, Copy)]
struct Posting {
    entry: u32,
    count: u32,
}

impl Overlay {
    /// Takes up a change; the last one of a row counts.
    pub fn apply(&mut self, change: Change) {
        let entry = change
            .document
            .map(|document| self.insert(change.row, document));
        self.rows.insert(change.row, entry);
    }

    /// How many memories it knows something of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it knows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn insert(&mut self, row: i64, document: Document) -> u32 {
        let number = u32::try_from(self.entries.len()).expect("fewer entries than memory for them");
        let words = Words::of(&document.content);
        let owner = owner_scope(&document.owner);
        let namespace = namespace_scope(&document.owner, &document.namespace);
        for scope in [owner, namespace] {
            let scope = self.scopes.entry(scope).or_default();
            scope.documents += 1;
            scope.len += words.rounded_len();
            for (word, count) in words.counts() {
                let posting = Posting {
                    entry: number,
                    count,
                };
                match scope.words.get_mut(word) {
                    Some(postings) => postings.push(posting),
                    None => {
                        scope.words.insert(word.to_owned(), vec![posting]);
                    }
                }
            }
        }
        self.entries.push(Entry {
            row,
            norm: words.norm(),
            tags: document.tags,
            expires_at: document.expires_at,
        });
        number
    }

    fn scope(&self, query: &Query) -> Option<&Scope> {
        self.scopes.get(query.scope().0)
    }
}

impl SearchIndex for Overlay {
    fn count(&self, query: &Query, statistics: &mut Statistics) -> Result<(), IndexError> {
        if let Some(scope) = self.scope(query) {
            statistics.add_in_scope(scope.documents, scope.len);
            for (number, word) in query.words().iter().enumerate() {
                let postings = scope.words.get(word).map_or(0, Vec::len);
                statistics.add_with_word(number, postings as u64);
            }
        }
        Ok(())
    }

    fn collect(
        &self,
        query: &Query,
        statistics: &Statistics,
        hidden: &dyn Fn(i64) -> bool,
        best: &mut Best<'_>,
    ) -> Result<(), IndexError> {
        let Some(scope) = self.scope(query) else {
            return Ok(());
        };
        let mut scores = HashMap::new();
        for (number, word) in query.words().iter().enumerate() {
            let Some(postings) = scope.words.get(word) else {
                continue;
            };
            let weight = statistics.weight(number);
            for Posting { entry, count } in postings {
                let norm = self.entries[*entry as usize].norm;
                *scores.entry(*entry).or_insert(0.0) += weight.score(norm, *count);
            }
        }
        for (number, score) in scores {
            let entry = &self.entries[number as usize];
            let newest = self.rows.get(&entry.row) == Some(&Some(number));
            let alive = entry.expires_at.is_none_or(|at| at > query.now_ms());
            let tagged = || query.tags().iter().all(|tag| entry.tags.contains(tag));
            if newest && alive && tagged() && !hidden(entry.row) {
                best.offer(score, entry.row);
            }
        }
        Ok(())
    }

    fn covers(&self, row: i64) -> bool {
        self.rows.contains_key(&row)
    }
}
