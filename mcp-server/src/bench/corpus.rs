//! Made-up texts with the word frequencies of natural language, the same in every run.

use super::random::{Random, Zipf};

/// A deterministic generator of words and texts.
///
/// Words follow Zipf's law (the n-th most frequent word is n times rarer than the first), as in
/// natural language (G. K. Zipf, 1949); without it, full-text search looks better than it is.
#[derive(Debug, Clone)]
pub struct Corpus {
    random: Random,
    zipf: Zipf,
}

impl Corpus {
    /// A generator over `words` distinct words; equal seeds give equal texts.
    #[must_use]
    pub fn new(words: u32, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            zipf: Zipf::new(words),
        }
    }

    /// A generator over the same words, in another order.
    #[must_use]
    pub fn with(&self, random: Random) -> Self {
        Self {
            random,
            zipf: self.zipf.clone(),
        }
    }

    /// The next word.
    pub fn word(&mut self) -> String {
        spell(self.zipf.draw(&mut self.random))
    }

    /// Several words, separated by spaces.
    pub fn words(&mut self, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }

    /// A text of about `bytes` bytes.
    pub fn text(&mut self, bytes: usize) -> String {
        self.text_after(String::new(), bytes)
    }

    /// A text of about `bytes` bytes that begins with `beginning`.
    pub fn text_after(&mut self, beginning: String, bytes: usize) -> String {
        let mut text = beginning;
        while text.is_empty() || text.len() < bytes {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&self.word());
        }
        text
    }
}

/// A pronounceable word for each rank; frequent words are short, as in natural language.
fn spell(mut rank: u32) -> String {
    const CONSONANTS: &[u8] = b"bdfgklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    const SYLLABLES: u32 = 70;
    let mut word = String::new();
    loop {
        let syllable = (rank % SYLLABLES) as usize;
        word.push(char::from(CONSONANTS[syllable / VOWELS.len()]));
        word.push(char::from(VOWELS[syllable % VOWELS.len()]));
        rank /= SYLLABLES;
        if rank == 0 {
            return word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_repeat_by_seed_and_have_the_length_asked_for() {
        let text = |seed| Corpus::new(1_000, seed).text(250);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        assert!((250..270).contains(&text(1).len()), "{}", text(1));
        assert_eq!(Corpus::new(1_000, 1).words(3).split(' ').count(), 3);
    }
}
