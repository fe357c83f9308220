//! What is looked for, and whose it must be.

use std::collections::HashSet;

use super::analysis::{Purpose, each_word};
use crate::memory::{Owner, Search};

/// The most distinct words of a query that are looked up: the cost of a search grows with them.
const WORDS_MAX: usize = 64;
/// How many memories are found where the search does not say.
const LIMIT_DEFAULT: u32 = 10;

/// A search, taken apart.
#[derive(Debug, Clone)]
pub struct Query {
    owner: String,
    namespace: Option<String>,
    words: Vec<String>,
    tags: Vec<String>,
    limit: usize,
    now_ms: i64,
}

impl Query {
    /// The query of an owner's search at `now_ms`, in milliseconds since 1970. `None` when there is
    /// no word in it.
    #[must_use]
    pub fn new(owner: &Owner, search: &Search, now_ms: i64) -> Option<Self> {
        let words = distinct_words(&search.query);
        let limit = search.limit.unwrap_or(LIMIT_DEFAULT);
        (!words.is_empty()).then(|| Self {
            owner: owner_scope(owner.as_str()),
            namespace: search
                .namespace
                .as_deref()
                .map(|namespace| namespace_scope(owner.as_str(), namespace)),
            words,
            tags: search.tags.clone(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            now_ms,
        })
    }

    /// The distinct words, in the form the index keeps them in.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The most matches that are wanted.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn tags(&self) -> &[String] {
        &self.tags
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// The narrowest scope of the query, and whether that is a namespace.
    pub(super) fn scope(&self) -> (&str, bool) {
        match &self.namespace {
            Some(namespace) => (namespace, true),
            None => (&self.owner, false),
        }
    }
}

/// The scope of all memories of an owner. A length stands before the name, so that no name can be
/// read as another one with something behind it.
pub(super) fn owner_scope(owner: &str) -> String {
    format!("{}:{owner}", owner.len())
}

/// The scope of one namespace of an owner.
pub(super) fn namespace_scope(owner: &str, namespace: &str) -> String {
    format!("{}:{owner}{}:{namespace}", owner.len(), namespace.len())
}

/// The distinct words of a query, in order, no more than are looked up.
pub(crate) fn distinct_words(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut words = Vec::new();
    each_word(text, Purpose::Find, |word| {
        if seen.insert(word.to_owned()) {
            words.push(word.to_owned());
        }
        words.len() < WORDS_MAX
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_bounded() {
        assert_eq!(distinct_words("twice Twice TWICE once"), ["twice", "onc"]);
        let long: String = (0..100).map(|n| format!("w{n} ")).collect();
        assert_eq!(distinct_words(&long).len(), WORDS_MAX);
        let huge = "same ".repeat(200_000);
        assert_eq!(distinct_words(&huge), ["same"]);
    }

    #[test]
    fn scopes_cannot_be_forged() {
        assert_ne!(owner_scope("a"), owner_scope("a1:b"));
        assert_ne!(namespace_scope("a", "b"), namespace_scope("a1:b", ""));
        assert_ne!(namespace_scope("ab", "c"), namespace_scope("a", "bc"));
    }
}
