//! What is kept of one token.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Scope, Token, TokenHash};

/// Digits of the hash that name a token.
const ID_LEN: usize = 8;
const NAME_LEN_MAX: usize = 64;

/// What is kept of one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is revoked by.
    pub id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// Whose data it opens.
    pub tenant: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// Its hash.
    pub sha256: TokenHash,
}

/// A name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is no {what}: it has 1 to {NAME_LEN_MAX} letters and digits of ASCII, and any of . _ - @ \
     among them"
)]
pub struct EntryError {
    what: &'static str,
    name: String,
}

impl Entry {
    /// What is kept of `token`, made now.
    ///
    /// # Errors
    ///
    /// When `name` or `tenant` cannot be a name.
    pub fn new(token: &Token, name: &str, tenant: &str, scope: Scope) -> Result<Self, EntryError> {
        let sha256 = TokenHash::of(token.secret());
        let entry = Self {
            id: sha256.to_hex()[..ID_LEN].to_owned(),
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            scope,
            created: Timestamp::now(),
            sha256,
        };
        entry.check()?;
        Ok(entry)
    }

    /// Whether its names are names, for one that somebody has edited.
    pub(super) fn check(&self) -> Result<(), EntryError> {
        for (what, name) in [("name of a token", &self.name), ("tenant", &self.tenant)] {
            let is_name = (1..=NAME_LEN_MAX).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
            if !is_name {
                let name = name.clone();
                return Err(EntryError { what, name });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let token = Token::generate().unwrap();
        let check = |name: &str, tenant: &str| Entry::new(&token, name, tenant, Scope::Read);
        let entry = check("ann's".trim_end_matches("'s"), "a.b_c-d@e").unwrap();
        assert_eq!(entry.id.len(), ID_LEN);
        let long = "x".repeat(NAME_LEN_MAX + 1);
        for odd in ["", " ", "a b", "a/b", "ä", "a\n", &long] {
            assert!(check(odd, "ann").is_err(), "{odd:?}");
            assert!(check("ann", odd).is_err(), "{odd:?}");
        }
    }
}
