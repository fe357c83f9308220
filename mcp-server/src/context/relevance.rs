//! Which contexts a query means most: BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75) over
//! those that were looked at.

use std::collections::HashMap;

use crate::memory::search::{Purpose, distinct_words, each_word};

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Ranks what it is offered.
#[derive(Debug)]
pub(crate) struct Relevance<T> {
    words: HashMap<String, usize>,
    documents: Vec<Document<T>>,
}

#[derive(Debug)]
struct Document<T> {
    subject: T,
    /// Of all its words, and of each word of the query.
    len: u32,
    counts: Vec<u32>,
}

impl<T> Relevance<T> {
    /// Asks for any of the words of `query`.
    pub(crate) fn new(query: &str) -> Self {
        let words = distinct_words(query);
        Self {
            words: words.into_iter().zip(0..).collect(),
            documents: Vec::new(),
        }
    }

    /// Takes `texts`, the parts of one document, for `subject`.
    pub(crate) fn offer<'a>(&mut self, subject: T, texts: impl IntoIterator<Item = &'a str>) {
        let mut document = Document {
            subject,
            len: 0,
            counts: vec![0; self.words.len()],
        };
        for text in texts {
            each_word(text, Purpose::Keep, |word| {
                document.len += 1;
                if let Some(at) = self.words.get(word) {
                    document.counts[*at] += 1;
                }
                true
            });
        }
        self.documents.push(document);
    }

    /// Those with any of the words, best first; of equally good ones that which came first.
    pub(crate) fn ranked(self) -> Vec<T> {
        let all = self.documents.len() as f64;
        let words: f64 = self.documents.iter().map(|d| f64::from(d.len)).sum();
        let len_mean = (words / all).max(1.0);
        let weight = |word: usize| {
            let with = self.documents.iter().filter(|d| d.counts[word] > 0);
            let with = with.count() as f64;
            (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
        };
        let weights: Vec<f64> = (0..self.words.len()).map(weight).collect();
        let score = |document: &Document<T>| {
            let norm = K1 * (1.0 - B + B * f64::from(document.len) / len_mean);
            let counts = document.counts.iter().map(|count| f64::from(*count));
            counts
                .zip(&weights)
                .map(|(count, weight)| weight * count * (K1 + 1.0) / (count + norm))
                .sum::<f64>()
        };
        let mut scored: Vec<_> = self
            .documents
            .into_iter()
            .map(|document| (score(&document), document.subject))
            .filter(|(score, _)| *score > 0.0)
            .collect();
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        scored.into_iter().map(|(_, subject)| subject).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Relevance;

    fn ranked(query: &str, texts: &[&str]) -> Vec<usize> {
        let mut relevance = Relevance::new(query);
        for (at, text) in texts.iter().enumerate() {
            relevance.offer(at, [*text]);
        }
        relevance.ranked()
    }

    #[test]
    fn more_and_rarer_words_come_first() {
        let texts = [
            "the deploy of the staging server",
            "notes of a meeting",
            "the staging server has a database, the staging database",
            "the lunch menu",
        ];
        assert_eq!(ranked("staging databases", &texts), [2, 0]);
        assert_eq!(ranked("MEETING", &texts), [1]);
        assert_eq!(ranked("the", &["the a", "the a"]), [0, 1]);
        assert_eq!(ranked("nothing like it", &texts[..1]), [0; 0]);
        assert_eq!(ranked("…", &texts), [0; 0]);
        assert_eq!(ranked("東京", &["私は東京に行く", "x"]), [0]);
    }
}
