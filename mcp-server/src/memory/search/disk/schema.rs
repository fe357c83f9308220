//! How a memory lies in the index.

use tantivy::{
    Index, TantivyDocument,
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{Token, TokenStream, Tokenizer},
};

use super::super::{
    Document,
    analysis::{Purpose, each_word},
    query::{namespace_scope, owner_scope},
};

pub(super) const ROW: &str = "row";
pub(super) const EXPIRES_AT: &str = "expires_at";
const SCOPED: &str = "scoped";
const RAW: &str = "raw";

/// The fields. Every word is kept behind its owner, and once more behind its owner and namespace:
/// a search of a scope reads that scope's words only, and can be cut short by their scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) row: Field,
    pub(super) expires_at: Field,
    pub(super) owner_words: Field,
    pub(super) namespace_words: Field,
    pub(super) tags: Field,
}

impl Fields {
    pub(super) fn schema() -> (Schema, Self) {
        let mut builder = Schema::builder();
        let words = |tokenizer, record, norms| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_index_option(record)
                .set_fieldnorms(norms);
            TextOptions::default().set_indexing_options(indexing)
        };
        let scoped = words(SCOPED, IndexRecordOption::WithFreqs, true);
        let fields = Self {
            row: builder.add_i64_field(ROW, INDEXED | FAST),
            expires_at: builder.add_i64_field(EXPIRES_AT, FAST),
            owner_words: builder.add_text_field("owner_words", scoped.clone()),
            namespace_words: builder.add_text_field("namespace_words", scoped),
            tags: builder.add_text_field("tags", words(RAW, IndexRecordOption::Basic, false)),
        };
        (builder.build(), fields)
    }

    /// Teaches an index how its words are separated.
    pub(super) fn register(index: &Index) {
        index.tokenizers().register(SCOPED, ScopedWords::default());
    }

    pub(super) fn document(&self, row: i64, document: &Document) -> TantivyDocument {
        let owner = owner_scope(&document.owner);
        let namespace = namespace_scope(&document.owner, &document.namespace);
        let mut words = String::with_capacity(document.content.len());
        each_word(&document.content, Purpose::Keep, |word| {
            words.push(SEPARATOR);
            words.push_str(word);
            true
        });
        let mut fields = TantivyDocument::default();
        fields.add_i64(self.row, row);
        if let Some(expires_at) = document.expires_at {
            fields.add_i64(self.expires_at, expires_at);
        }
        fields.add_text(self.owner_words, scoped(&owner, &words));
        fields.add_text(self.namespace_words, scoped(&namespace, &words));
        for tag in &document.tags {
            fields.add_text(self.tags, format!("{owner}{tag}"));
        }
        fields
    }
}

/// Stands before each word; no word contains it.
const SEPARATOR: char = ' ';

/// A scope's length, the scope, and the words.
fn scoped(scope: &str, words: &str) -> String {
    format!("{} {scope}{words}", scope.len())
}

/// Reads what [`scoped`] wrote: the scope by itself, then every word behind it.
#[derive(Debug, Clone, Default)]
struct ScopedWords {
    token: Token,
}

impl Tokenizer for ScopedWords {
    type TokenStream<'a> = ScopedStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ScopedStream<'a> {
        let (len, rest) = text.split_once(SEPARATOR).unwrap_or_default();
        let (scope, words) = rest
            .split_at_checked(len.parse().unwrap_or(0))
            .unwrap_or_default();
        self.token.reset();
        self.token.text.push_str(scope);
        ScopedStream {
            scope_len: scope.len(),
            begun: false,
            words: words.split(SEPARATOR),
            token: &mut self.token,
        }
    }
}

struct ScopedStream<'a> {
    scope_len: usize,
    begun: bool,
    words: std::str::Split<'a, char>,
    token: &'a mut Token,
}

impl TokenStream for ScopedStream<'_> {
    fn advance(&mut self) -> bool {
        // What stands before the first separator is nothing: the place of the scope itself.
        let Some(word) = self.words.next() else {
            return false;
        };
        if self.begun {
            self.token.position = self.token.position.wrapping_add(1);
        } else {
            self.begun = true;
            self.token.position = 0;
        }
        self.token.text.truncate(self.scope_len);
        self.token.text.push_str(word);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_behind_its_scope() {
        let mut words = ScopedWords::default();
        for (scope, text, expect) in [
            ("1:a", " one two", vec!["1:a", "1:aone", "1:atwo"]),
            ("3:a b", " one", vec!["3:a b", "3:a bone"]),
            ("0:", "", vec!["0:"]),
            ("2:é", " x", vec!["2:é", "2:éx"]),
        ] {
            let text = scoped(scope, text);
            let mut stream = words.token_stream(&text);
            let mut found = Vec::new();
            while stream.advance() {
                found.push(stream.token().text.clone());
            }
            assert_eq!(found, expect);
        }
    }
}
