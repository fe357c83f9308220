//! Made-up texts with the word frequencies of natural language, the same in every run.

/// A deterministic generator of words and texts.
///
/// Words follow Zipf's law (the n-th most frequent word is n times rarer than the first), as in
/// natural language (G. K. Zipf, 1949); without it, full-text search looks better than it is.
#[derive(Debug, Clone)]
pub struct Corpus {
    state: u64,
    cumulative: Vec<f64>,
}

impl Corpus {
    /// A generator over `words` distinct words; equal seeds give equal texts.
    #[must_use]
    pub fn new(words: u32, seed: u64) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=words)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self {
            state: seed,
            cumulative,
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = (u64::from(self.next_u32()) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// The next word.
    pub fn word(&mut self) -> String {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = f64::from(self.next_u32()) / f64::from(u32::MAX) * total;
        let rank = self.cumulative.partition_point(|sum| *sum < point);
        spell(rank)
    }

    /// Several words, separated by spaces.
    pub fn words(&mut self, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }

    /// A text of about `bytes` bytes.
    pub fn text(&mut self, bytes: usize) -> String {
        let mut text = self.word();
        while text.len() < bytes {
            text.push(' ');
            text.push_str(&self.word());
        }
        text
    }

    /// SplitMix64 (Steele, Lea, Flood 2014), upper half.
    fn next_u32(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)
    }
}

/// A pronounceable word for each rank; frequent words are short, as in natural language.
fn spell(mut rank: usize) -> String {
    const CONSONANTS: &[u8] = b"bdfgklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    let mut word = String::new();
    loop {
        let syllable = rank % (CONSONANTS.len() * VOWELS.len());
        word.push(char::from(CONSONANTS[syllable / VOWELS.len()]));
        word.push(char::from(VOWELS[syllable % VOWELS.len()]));
        rank /= CONSONANTS.len() * VOWELS.len();
        if rank == 0 {
            return word;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::Corpus;

    #[test]
    fn words_follow_zipf() {
        let mut corpus = Corpus::new(1_000, 7);
        let mut counts = HashMap::new();
        for _ in 0..100_000 {
            *counts.entry(corpus.word()).or_insert(0_u32) += 1;
        }
        let mut counts: Vec<_> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let ratio = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((8.0..12.0).contains(&ratio), "first to tenth: {ratio}");
    }
}
