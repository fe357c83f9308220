//! The names of sessions, which nobody can guess.

use std::{fmt, str::FromStr};
use thiserror::Error;

const LEN: usize = 16;

/// A session's id: 128 random bits, written as 32 hexadecimal digits. Who knows
/// it may speak for the session, so `Debug` shows only how it begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; LEN]);

impl SessionId {
    /// From the operating system; `None` if it gives no randomness.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; LEN];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// A text is no session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a session id")]
pub struct ParseSessionIdError;

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let is_ours = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 2 * LEN || !digits.iter().all(is_ours) {
            return Err(ParseSessionIdError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| ParseSessionIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_differ() {
        let [a, b] = [(); 2].map(|()| SessionId::random().expect("randomness"));
        assert_ne!(a, b);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!(a.to_string().len(), 32);
        let shown = format!("{a:?}");
        assert!(
            !shown.contains(&a.to_string()) && shown.len() < 20,
            "{shown}"
        );
        for text in [
            "",
            "0",
            &"g".repeat(32),
            &"A".repeat(32),
            &"+".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(
                text.parse::<SessionId>(),
                Err(ParseSessionIdError),
                "{text}"
            );
        }
    }
}
