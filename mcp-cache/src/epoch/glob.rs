//! Globs over the text of a key.

/// A compiled glob: `*` is any text, `?` any one character, `\` takes the next
/// character literally, and everything else stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    This(char),
}

impl Glob {
    pub(crate) fn new(glob: &str) -> Self {
        let mut chars = glob.chars();
        let mut parts = Vec::new();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::This(chars.next().unwrap_or('\\')),
                other => Part::This(other),
            };
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
        }
        Self {
            parts: parts.into(),
        }
    }

    /// Takes at most the product of both lengths: on a mismatch only the last
    /// `*` has to take one character more, never an earlier one.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (mut at, mut rest) = (0, text.chars());
        // Where to go on if what follows the last `*` does not fit.
        let mut retry = None;
        loop {
            let before = rest.clone();
            let fits = match (self.parts.get(at), rest.next()) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    rest = before.clone();
                    retry = Some((at + 1, before));
                    true
                }
                (Some(Part::One), Some(_)) => true,
                (Some(Part::This(expected)), Some(c)) => *expected == c,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if fits {
                at += 1;
                continue;
            }
            let Some((after_star, mut from)) = retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (after_star, from.clone());
            retry = Some((after_star, from));
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_match_as_the_table_says() {
        let check = |glob: &str, text: &str, expect: bool| {
            assert_eq!(Glob::new(glob).matches(text), expect, "{glob} {text}");
        };
        for (glob, text) in [
            ("", ""),
            ("*", ""),
            ("*", "any"),
            ("a*", "a"),
            ("user:*", "user:42"),
            ("*:42", "user:42"),
            ("u*r:*2", "user:4242"),
            ("?é?", "aéb"),
            (r"a\*b", "a*b"),
            (r"a\\b", r"a\b"),
            (r"a\", r"a\"),
            ("**a**", "bab"),
            ("*aab", "aaaab"),
        ] {
            check(glob, text, true);
        }
        for (glob, text) in [
            ("", "a"),
            ("?", ""),
            ("?", "ab"),
            ("user:*", "users:1"),
            ("*:42", "user:421"),
            (r"a\*b", "axb"),
            ("a*b*c", "acb"),
        ] {
            check(glob, text, false);
        }
    }

    /// The definition, word by word; exponential, so only for short texts.
    fn by_definition(parts: &[Part], text: &[char]) -> bool {
        match parts.split_first() {
            None => text.is_empty(),
            Some((Part::Any, rest)) => {
                (0..=text.len()).any(|skip| by_definition(rest, &text[skip..]))
            }
            Some((part, rest)) => text.split_first().is_some_and(|(c, text)| {
                (*part == Part::One || *part == Part::This(*c)) && by_definition(rest, text)
            }),
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_definition_says(glob in "[ab*?]{0,7}", text in "[ab]{0,7}") {
            let compiled = Glob::new(&glob);
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(compiled.matches(&text), by_definition(&compiled.parts, &chars));
        }
    }
}
