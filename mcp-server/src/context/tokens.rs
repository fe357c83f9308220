//! How many tokens a text takes, without a tokenizer.

/// About how many tokens a model needs for `text`: one for every four bytes of ASCII, rounded up,
/// and one for every other character.
///
/// English prose takes about four bytes a token. Other scripts take from a third of a token a
/// character (Cyrillic) to about one (Chinese, Japanese), so that the estimate is rather too high
/// for them: a budget is kept.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    // The first byte of a character of several has its two highest bits set.
    let (ascii, others) = text.bytes().fold((0u64, 0), |(ascii, others), byte| {
        (
            ascii + u64::from(byte.is_ascii()),
            others + u64::from(byte >= 0xc0),
        )
    });
    ascii.div_ceil(4) + others
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn four_bytes_or_one_character() {
        for (text, tokens) in [
            ("", 0),
            ("a", 1),
            ("four", 1),
            ("fives", 2),
            ("東京", 2),
            ("東京 is", 3),
            ("Zażółć", 5),
            ("🦀", 1),
        ] {
            assert_eq!(estimate(text), tokens, "{text}");
        }
    }
}
