//! From a text to the words it is found by.
//!
//! Case, accents and English endings do not matter, nor does the Unicode form (NFKC). Scripts that
//! are written without spaces, and Korean with its endings, are cut into overlapping pairs of
//! characters (bigrams), so that a part of a run is found, too.

use std::cell::RefCell;

use frostem::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longer words are cut here, in bytes: nobody types them, and each one is kept in the index.
const WORD_BYTES_MAX: usize = 64;

/// What the words are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Pairs of characters and single ones, so that either is found.
    Keep,
    /// Pairs where there is a pair: single characters would find nearly everything.
    Find,
}

/// Hands every word of `text` to `sink`, in order and with repetitions, until that says `false`.
pub(crate) fn each_word(text: &str, purpose: Purpose, sink: impl FnMut(&str) -> bool) {
    let mut cutter = Cutter::new(purpose, sink);
    if text.is_ascii() {
        cutter.cut(text.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        let plain = text.nfkd().filter(|c| !is_accent(*c)).nfc();
        cutter.cut(plain.flat_map(char::to_lowercase));
    }
}

/// Accents that are folded into their letter.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Scripts whose runs are cut into pairs.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Myanmar
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{1100}'..='\u{11ff}' // Hangul
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' // kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{20000}'..='\u{3ffff}' // Han
    ) && (c.is_alphanumeric() || is_combining_mark(c))
}

thread_local! {
    static STEMMER: RefCell<Stemmer> = RefCell::new(Stemmer::new(Algorithm::English));
}

/// The word that is being read, and the character before in a run of pairs.
struct Cutter<F> {
    purpose: Purpose,
    sink: F,
    going: bool,
    word: String,
    /// The last character of a run, and whether it was handed on as part of a pair.
    run: Option<(char, bool)>,
}

impl<F: FnMut(&str) -> bool> Cutter<F> {
    fn new(purpose: Purpose, sink: F) -> Self {
        Self {
            purpose,
            sink,
            going: true,
            word: String::new(),
            run: None,
        }
    }

    fn cut(&mut self, chars: impl Iterator<Item = char>) {
        for c in chars {
            if !self.going {
                return;
            }
            if is_unspaced(c) {
                self.end_word();
                self.extend_run(c);
            } else if c.is_alphanumeric() || (is_combining_mark(c) && !self.word.is_empty()) {
                self.end_run();
                if self.word.len() + c.len_utf8() <= WORD_BYTES_MAX {
                    self.word.push(c);
                }
            } else {
                self.end_word();
                self.end_run();
            }
        }
        self.end_word();
        self.end_run();
    }

    fn end_word(&mut self) {
        if self.word.is_empty() || !self.going {
            return;
        }
        let letters = self.word.bytes().all(|byte| byte.is_ascii_lowercase());
        self.going = match letters {
            true => STEMMER.with_borrow(|stemmer| (self.sink)(&stemmer.stem(&self.word))),
            false => (self.sink)(&self.word),
        };
        self.word.clear();
    }

    fn extend_run(&mut self, c: char) {
        let before = self.run.replace((c, false));
        if self.purpose == Purpose::Keep {
            self.emit(&[c]);
        }
        if let Some((before, _)) = before {
            self.run = Some((c, true));
            self.emit(&[before, c]);
        }
    }

    fn end_run(&mut self) {
        if let Some((alone, false)) = self.run.take()
            && self.purpose == Purpose::Find
        {
            self.emit(&[alone]);
        }
    }

    fn emit(&mut self, chars: &[char]) {
        if self.going {
            let mut word = String::with_capacity(8);
            word.extend(chars);
            self.going = (self.sink)(&word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, purpose: Purpose) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, purpose, |word| {
            words.push(word.to_owned());
            true
        });
        words
    }

    #[test]
    fn texts_become_words() {
        let check = |text, keep: &[&str], find: &[&str]| {
            assert_eq!(words(text, Purpose::Keep), keep, "{text:?}");
            assert_eq!(words(text, Purpose::Find), find, "{text:?}");
        };
        let same = |text, expect| check(text, expect, expect);
        same("Running  connections ran", &["run", "connect", "ran"]);
        same("a AND NOT b*", &["a", "and", "not", "b"]);
        same(r#"say "hi" (now)"#, &["say", "hi", "now"]);
        same("v2.10.3 x86_64", &["v2", "10", "3", "x86", "64"]);
        same("Zürich CAFÉ Zo\u{308}llner", &["zurich", "cafe", "zollner"]);
        same("Ёлка НАКАЗАНИЕ", &["елка", "наказание"]);
        same("ＡＢＣ ﬁre", &["abc", "fire"]);
        same("हिन्दी", &["हिन्दी"]);
        same("?! -- \"\" 🚀 \u{0}", &[]);
        same("", &[]);
        check(
            "東京都v2に",
            &["東", "京", "東京", "都", "京都", "v2", "に"],
            &["東京", "京都", "v2", "に"],
        );
        check("ｶﾞ", &["ガ"], &["ガ"]);
        check(
            "서울에",
            &["서", "울", "서울", "에", "울에"],
            &["서울", "울에"],
        );
        check("ไทย", &["ไ", "ท", "ไท", "ย", "ทย"], &["ไท", "ทย"]);
    }

    #[test]
    fn long_words_are_cut_and_the_sink_may_stop() {
        let long = "é".repeat(100) + "x1";
        assert_eq!(words(&long, Purpose::Find), ["e".repeat(64)]);
        let mut seen = 0;
        each_word("one two three 東京都", Purpose::Keep, |_| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }
}
