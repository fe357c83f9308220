//! The secret that a caller shows, and the hash that is kept of it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every token begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "mcp_";
/// Random bytes of a token: more than anybody can guess, so that one round of hashing is enough.
const SECRET_LEN: usize = 32;
const HASH_LEN: usize = 32;

/// A secret. It is shown once, to whoever made it, and never kept.
pub struct Token(String);

impl Token {
    /// A new token, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// When the operating system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_LEN];
        getrandom::fill(&mut secret)?;
        Ok(Self(format!("{PREFIX}{}", Hex(&secret))))
    }

    /// The secret itself, to be shown.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What is kept of a token: its SHA-256. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; HASH_LEN]);

impl TokenHash {
    /// The hash of what a caller shows.
    #[must_use]
    pub fn of(shown: &str) -> Self {
        Self(Sha256::digest(shown).into())
    }

    /// The first part of it, to look it up by. Nobody can choose the hash of a token that he does
    /// not know, so how long a look-up takes says nothing.
    pub(super) fn bucket(&self) -> u64 {
        let (first, _) = self.0.split_first_chunk().expect("it has 32 bytes");
        u64::from_be_bytes(*first)
    }

    /// The hash as text, in hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        Hex(&self.0).to_string()
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; HASH_LEN];
        let is_hash = text.len() == 2 * HASH_LEN && text.bytes().all(|d| d.is_ascii_hexdigit());
        if !is_hash {
            return Err(D::Error::custom("a hash has 64 hexadecimal digits"));
        }
        for (index, byte) in hash.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(hash))
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_not_told() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.secret(), two.secret());
        assert_eq!(one.secret().len(), PREFIX.len() + 64);
        assert!(one.secret().starts_with(PREFIX));
        let (kept, other) = (TokenHash::of(one.secret()), TokenHash::of(two.secret()));
        assert!(kept == TokenHash::of(one.secret()) && kept != other);
        for told in [format!("{one:?}"), format!("{kept:?}")] {
            assert!(told.contains("***"), "{told}");
            assert!(told.len() < 20, "{told}");
        }
    }

    /// The vector of FIPS 180-2, appendix B.1.
    #[test]
    fn hashes_are_sha_256_and_survive_a_file() {
        let hash = TokenHash::of("abc");
        let text = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
        assert_eq!(serde_json::to_string(&hash).unwrap(), text);
        assert_eq!(serde_json::from_str::<TokenHash>(text).unwrap(), hash);
        for odd in [
            "\"\"",
            "\"ba\"",
            &text.replace('b', "g"),
            &text.replace("ba", "+a"),
        ] {
            assert!(serde_json::from_str::<TokenHash>(odd).is_err(), "{odd}");
        }
    }
}
