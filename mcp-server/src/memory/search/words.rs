//! The words of one memory.

use std::collections::HashMap;

use tantivy::fieldnorm::FieldNormReader;

use super::analysis::{Purpose, each_word};

/// The words that a text is found by, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    counts: HashMap<String, u32>,
    len: u32,
}

impl Words {
    /// Takes a text apart.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut counts = HashMap::new();
        // The scope itself counts as a word, here as on disk.
        let mut len = 1;
        each_word(text, Purpose::Keep, |word| {
            len += 1;
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word.to_owned(), 1);
                }
            }
            true
        });
        Self { counts, len }
    }

    /// How many different ones there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The length as scores take it.
    pub(super) fn norm(&self) -> u8 {
        FieldNormReader::fieldnorm_to_id(self.len)
    }

    /// How long the text is, in words, rounded as scores take it: so an average is the same whether
    /// memories are counted here or on disk, where only that is kept.
    pub(super) fn rounded_len(&self) -> u64 {
        FieldNormReader::id_to_fieldnorm(self.norm()).into()
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, u32)> {
        self.counts
            .iter()
            .map(|(word, count)| (word.as_str(), *count))
    }
}
