//! The latest changes, by their words: what has happened since a search was answered.

use std::{collections::HashMap, sync::Arc};

use super::{
    Match, Query, Statistics,
    best::rounded,
    query::{namespace_scope, owner_scope},
};
use crate::memory::{ChangedMemory, Memory, MemoryChange};

/// About what a memory takes besides its text and its words, in bytes.
const ENTRY_BYTES: usize = 512;
/// About what a word takes that is new here, and what one more memory with it takes.
const WORD_BYTES: usize = 128;
const POSTING_BYTES: usize = 12;
/// A memory with more different words is not taken up: that would hold everybody else up.
const WORDS_MAX: usize = 10_000;

/// The changes after some moment, of which the oldest are forgotten. Asking what has changed costs
/// the same however much has: a look-up per word and the matches.
#[derive(Debug)]
pub struct Recent {
    upto: i64,
    bytes_max: usize,
    older: Generation,
    newer: Generation,
}

/// A memory that was added or changed, and matches.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// How well it matches.
    pub found: Match,
    /// The memory.
    pub memory: Arc<Memory>,
}

/// The changes of one stretch of the log. The older of two is forgotten as a whole.
#[derive(Debug)]
struct Generation {
    /// It holds what came after this.
    since: i64,
    bytes: usize,
    /// In order of their sequence.
    entries: Vec<Entry>,
    /// The last change of each row.
    rows: HashMap<i64, i64>,
    scopes: HashMap<String, Scope>,
}

#[derive(Debug)]
struct Entry {
    sequence: i64,
    row: i64,
    norm: u8,
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Scope {
    entries: Vec<u32>,
    /// For each entry, the words of it and all before it.
    words_upto: Vec<u64>,
    words: HashMap<String, Vec<Posting>>,
}

#[derive(Debug, Clone, Copy)]
struct Posting {
    entry: u32,
    count: u32,
}

impl Recent {
    /// Knows what comes after the change `upto`, in about `bytes_max` bytes.
    #[must_use]
    pub fn new(upto: i64, bytes_max: usize) -> Self {
        Self {
            upto,
            bytes_max,
            older: Generation::new(upto),
            newer: Generation::new(upto),
        }
    }

    /// The last change that it knows.
    #[must_use]
    pub fn upto(&self) -> i64 {
        self.upto
    }

    /// Whether it knows everything that came after the change `sequence`.
    #[must_use]
    pub fn reaches(&self, sequence: i64) -> bool {
        sequence >= self.older.since
    }

    /// Takes up the next change.
    pub fn apply(&mut self, change: MemoryChange) {
        self.upto = change.sequence;
        let words = change.now.as_ref().map_or(0, |now| now.words.distinct());
        if words > WORDS_MAX {
            *self = Self::new(self.upto, self.bytes_max);
            return;
        }
        self.newer.apply(change);
        if self.newer.bytes > self.bytes_max / 2 {
            let newest = Generation::new(self.upto);
            self.older = std::mem::replace(&mut self.newer, newest);
        }
    }

    /// Whether the memory in `row` was changed after `sequence`, be it that it is gone.
    #[must_use]
    pub fn has_changed(&self, row: i64, sequence: i64) -> bool {
        self.last_change(row).is_some_and(|last| last > sequence)
    }

    /// Adds what was added and changed after `sequence` to the statistics, as an index does that
    /// takes it up: what was there before goes on counting.
    pub fn count(&self, query: &Query, sequence: i64, statistics: &mut Statistics) {
        for generation in [&self.older, &self.newer] {
            generation.count(query, sequence, statistics);
        }
    }

    /// What was added or changed after `sequence`, holds any of the query's words and all of its
    /// tags, and is in its scope; in no order. It may have expired.
    #[must_use]
    pub fn news(&self, query: &Query, sequence: i64, statistics: &Statistics) -> Vec<News> {
        let mut news = Vec::new();
        for generation in [&self.older, &self.newer] {
            for (number, score) in generation.scores(query, sequence, statistics) {
                let entry = &generation.entries[number as usize];
                let newest = self.last_change(entry.row) == Some(entry.sequence);
                let tagged = || {
                    query
                        .tags()
                        .iter()
                        .all(|tag| entry.memory.tags.contains(tag))
                };
                if newest && tagged() {
                    news.push(News {
                        found: Match {
                            score: rounded(score),
                            row: entry.row,
                        },
                        memory: entry.memory.clone(),
                    });
                }
            }
        }
        news
    }

    fn last_change(&self, row: i64) -> Option<i64> {
        let newer = self.newer.rows.get(&row);
        newer.or_else(|| self.older.rows.get(&row)).copied()
    }
}

impl Generation {
    fn new(since: i64) -> Self {
        Self {
            since,
            bytes: 0,
            entries: Vec::new(),
            rows: HashMap::new(),
            scopes: HashMap::new(),
        }
    }

    fn apply(&mut self, change: MemoryChange) {
        self.bytes += ENTRY_BYTES;
        self.rows.insert(change.row, change.sequence);
        if let Some(now) = change.now {
            self.insert(change.sequence, change.row, now);
        }
    }

    fn insert(&mut self, sequence: i64, row: i64, now: ChangedMemory) {
        let ChangedMemory {
            owner,
            memory,
            words,
        } = now;
        let number = u32::try_from(self.entries.len()).expect("fewer entries than memory for them");
        let owner_scope = owner_scope(owner.as_str());
        let namespace_scope = namespace_scope(owner.as_str(), &memory.namespace);
        for scope in [owner_scope, namespace_scope] {
            let scope = self.scopes.entry(scope).or_default();
            scope.entries.push(number);
            let before = scope.words_upto.last().copied().unwrap_or(0);
            scope.words_upto.push(before + words.rounded_len());
            for (word, count) in words.counts() {
                let posting = Posting {
                    entry: number,
                    count,
                };
                self.bytes += POSTING_BYTES;
                match scope.words.get_mut(word) {
                    Some(postings) => postings.push(posting),
                    None => {
                        self.bytes += WORD_BYTES;
                        scope.words.insert(word.to_owned(), vec![posting]);
                    }
                }
            }
        }
        self.bytes += memory.content.len();
        self.entries.push(Entry {
            sequence,
            row,
            norm: words.norm(),
            memory,
        });
    }

    fn is_after(&self, entry: u32, sequence: i64) -> bool {
        self.entries[entry as usize].sequence > sequence
    }

    /// Those of `postings` that came after `sequence`.
    fn after<'a>(&self, postings: &'a [Posting], sequence: i64) -> &'a [Posting] {
        let first = postings.partition_point(|posting| !self.is_after(posting.entry, sequence));
        &postings[first..]
    }

    fn count(&self, query: &Query, sequence: i64, statistics: &mut Statistics) {
        let Some(scope) = self.scopes.get(query.scope().0) else {
            return;
        };
        let first = scope
            .entries
            .partition_point(|entry| !self.is_after(*entry, sequence));
        let words_at = |entry: Option<usize>| match entry {
            Some(entry) => scope.words_upto[entry],
            None => 0,
        };
        let words = words_at(scope.entries.len().checked_sub(1)) - words_at(first.checked_sub(1));
        statistics.add_in_scope((scope.entries.len() - first) as u64, words);
        for (number, word) in query.words().iter().enumerate() {
            if let Some(postings) = scope.words.get(word) {
                let documents = self.after(postings, sequence).len() as u64;
                statistics.add_with_word(number, documents);
            }
        }
    }

    fn scores(&self, query: &Query, sequence: i64, statistics: &Statistics) -> HashMap<u32, f32> {
        let mut scores = HashMap::new();
        let Some(scope) = self.scopes.get(query.scope().0) else {
            return scores;
        };
        for (number, word) in query.words().iter().enumerate() {
            let postings = scope.words.get(word).map_or(&[][..], Vec::as_slice);
            let postings = self.after(postings, sequence);
            if postings.is_empty() {
                continue;
            }
            let weight = statistics.weight(number);
            for Posting { entry, count } in postings {
                let norm = self.entries[*entry as usize].norm;
                *scores.entry(*entry).or_insert(0.0) += weight.score(norm, *count);
            }
        }
        scores
    }
}
