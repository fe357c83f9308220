//! The counts that BM25 ranks by (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75), over all layers.

use serde::{Deserialize, Serialize};
use tantivy::query::Bm25Weight;

use super::Query;

/// How often a query's words occur in its scope. Memories that were changed or deleted may count
/// until their traces are merged away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    documents_in_scope: u64,
    words_in_scope: u64,
    documents_with: Vec<u64>,
}

impl Statistics {
    /// No counts yet of a query of `words` words.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self {
            documents_with: vec![0; words],
            ..Self::default()
        }
    }

    /// The counts of the words `from` in the order of the words `to`. `None` if they are not the same
    /// words.
    #[must_use]
    pub fn reordered(&self, from: &[String], to: &[String]) -> Option<Self> {
        if from.len() != to.len() || from.len() != self.documents_with.len() {
            return None;
        }
        let count = |word: &String| {
            let at = from.iter().position(|known| known == word)?;
            self.documents_with.get(at).copied()
        };
        Some(Self {
            documents_with: to.iter().map(count).collect::<Option<_>>()?,
            ..self.clone()
        })
    }

    /// Adds `documents` memories of the query's scope with `words` words in all, repetitions
    /// included, and each memory's number of them rounded as scores take it.
    pub fn add_in_scope(&mut self, documents: u64, words: u64) {
        self.documents_in_scope += documents;
        self.words_in_scope += words;
    }

    /// Adds memories of the query's scope that hold its word number `word`.
    pub fn add_with_word(&mut self, word: usize, documents: u64) {
        self.documents_with[word] += documents;
    }

    /// Whether any memory of the scope holds any word.
    #[must_use]
    pub fn has_matches(&self) -> bool {
        self.documents_with.iter().any(|documents| *documents > 0)
    }

    /// How far a ranking by these counts may be from one by the counts `before`: the share by which
    /// the words' weights have moved against each other, or the average length has moved. 0.05 is
    /// 5 %. What moves all weights alike moves no match past another.
    #[must_use]
    pub fn drift_since(&self, before: &Self) -> f32 {
        if self == before {
            return 0.0;
        }
        if before.documents_in_scope == 0 {
            return f32::INFINITY;
        }
        let length = (self.average_length() / before.average_length() - 1.0).abs();
        let words = 0..self.documents_with.len();
        let moved = words.map(|word| self.rarity(word) / before.rarity(word));
        let (least, most) = moved.fold((f32::INFINITY, 0.0_f32), |(least, most), moved| {
            (least.min(moved), most.max(moved))
        });
        length.max(most / least - 1.0)
    }

    /// BM25's inverse document frequency.
    fn rarity(&self, word: usize) -> f32 {
        let (all, with) = (
            self.documents_in_scope as f32,
            self.documents_with[word] as f32,
        );
        (1.0 + (all - with + 0.5).max(0.0) / (with + 0.5)).ln()
    }

    fn average_length(&self) -> f32 {
        self.words_in_scope as f32 / self.documents_in_scope as f32
    }

    pub(super) fn documents_in_scope(&self) -> u64 {
        self.documents_in_scope
    }

    /// How many memories of the scope hold `word`.
    pub(super) fn documents_with(&self, query: &Query, word: &[u8]) -> u64 {
        let mut words = query.words().iter().zip(&self.documents_with);
        words
            .find(|(known, _)| known.as_bytes() == word)
            .map_or(0, |(_, documents)| *documents)
    }

    pub(super) fn words_in_scope(&self) -> u64 {
        self.words_in_scope
    }

    /// What word number `word` contributes.
    pub(super) fn weight(&self, word: usize) -> Bm25Weight {
        let average = self.average_length();
        let documents = self.documents_with[word];
        Bm25Weight::for_one_term_without_explain(documents, self.documents_in_scope, average)
    }
}
