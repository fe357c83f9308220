//! Texts as PostgreSQL keeps them: it takes every character but the one with the number 0.
//!
//! That one is written as a mark and `0`, and the mark itself, which Unicode reserves for uses like
//! this one, as a mark and `1`. Every other text is kept as it is.

use std::borrow::Cow;

/// The last code point, which is no character (Unicode 16.0 §23.7).
const MARK: char = '\u{10ffff}';
/// What the mark begins with in UTF-8; few other characters do.
const MARK_FIRST_BYTE: u8 = 0xf4;

/// `text` in the form that is kept.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    let odd = |byte| byte == 0 || byte == MARK_FIRST_BYTE;
    if !text.bytes().any(odd) {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => kept.extend([MARK, '0']),
            MARK => kept.extend([MARK, '1']),
            c => kept.push(c),
        }
    }
    kept.into()
}

/// The text that is kept as `text`.
pub(super) fn loaded(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    let mut chars = text.chars();
    let mut loaded = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match (c, c == MARK) {
            (c, false) => loaded.push(c),
            (_, true) => match chars.next() {
                Some('0') => loaded.push('\0'),
                Some('1') => loaded.push(MARK),
                other => loaded.extend([Some(MARK), other].into_iter().flatten()),
            },
        }
    }
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in [
            "",
            "plain",
            "a\0b",
            "\0",
            "\u{10ffff}",
            "\u{10ffff}0\0\u{10ffff}1",
            "\u{10fffe}🚀",
        ] {
            let kept = stored(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(loaded(kept.into_owned()), text);
        }
        assert!(matches!(stored("🚀 é"), Cow::Borrowed(_)));
    }
}
