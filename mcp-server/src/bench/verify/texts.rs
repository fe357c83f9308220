//! How well a text fits a query.

use std::collections::HashMap;

use crate::{
    bench::{
        history::TextHash,
        trace::{Content, Trace},
    },
    memory::{Owner, Search, search},
};

/// Texts by number, made again from the trace and remembered as what is asked of them.
pub(super) struct Texts<'a> {
    trace: &'a Trace,
    hashes: HashMap<u32, TextHash>,
    fits: HashMap<(u32, u32), Fit>,
    queries: HashMap<u32, Vec<String>>,
    words: HashMap<String, Option<String>>,
}

/// What the rank of a text depends on, beside the other texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    /// How often it holds each word of the query.
    times: Vec<u32>,
    /// Its length in words.
    length: usize,
}

impl Fit {
    pub(super) fn is_match(&self) -> bool {
        self.times.iter().any(|times| *times > 0)
    }

    /// Whether it ranks above `other` for the same query, whatever other texts there are.
    pub(super) fn ranks_above(&self, other: &Self) -> bool {
        let pairs = || self.times.iter().zip(&other.times);
        self.length <= other.length
            && pairs().all(|(this, other)| this >= other)
            && pairs().any(|(this, other)| this > other)
    }
}

impl<'a> Texts<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        Self {
            trace,
            hashes: HashMap::new(),
            fits: HashMap::new(),
            queries: HashMap::new(),
            words: HashMap::new(),
        }
    }

    pub(super) fn hash(&mut self, content: Content) -> TextHash {
        let hash = || TextHash::of(&self.trace.text(content));
        *self.hashes.entry(content.number).or_insert_with(hash)
    }

    pub(super) fn fit(&mut self, content: Content, query: u32) -> Fit {
        if let Some(fit) = self.fits.get(&(content.number, query)) {
            return fit.clone();
        }
        let wanted = self.query(query);
        let text = self.trace.text(content);
        let mut fit = Fit {
            times: vec![0; wanted.len()],
            length: 0,
        };
        for word in text.split(' ').filter_map(|word| self.indexed(word)) {
            fit.length += 1;
            if let Some(place) = wanted.iter().position(|wanted| *wanted == word) {
                fit.times[place] += 1;
            }
        }
        self.fits.insert((content.number, query), fit.clone());
        fit
    }

    fn query(&mut self, query: u32) -> Vec<String> {
        let words = || indexed(&self.trace.queries()[query as usize].words);
        self.queries.entry(query).or_insert_with(words).clone()
    }

    /// The form in which the index keeps a word.
    fn indexed(&mut self, word: &str) -> Option<String> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let form = indexed(word).into_iter().next();
        self.words.insert(word.to_owned(), form.clone());
        form
    }
}

/// The distinct words of a text, in the form in which the index keeps them.
fn indexed(text: &str) -> Vec<String> {
    let search = Search {
        query: text.to_owned(),
        ..Search::default()
    };
    let query = search::Query::new(&Owner::local(), &search, 0);
    query.map_or_else(Vec::new, |query| query.words().to_vec())
}

#[cfg(test)]
impl Fit {
    /// A total order that agrees with [`Fit::ranks_above`].
    pub(super) fn order(&self) -> (u32, std::cmp::Reverse<usize>) {
        (self.times.iter().sum(), std::cmp::Reverse(self.length))
    }
}
