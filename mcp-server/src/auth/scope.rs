//! What a caller may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a caller may do; each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at what there is.
    Read,
    /// Change it, too.
    Write,
    /// Look after the server itself, too.
    Admin,
}

/// A name that no scope has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope: choose read, write or admin")]
pub struct NoSuchScope(String);

impl Scope {
    /// All scopes, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name in files, headers and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = NoSuchScope;

    fn from_str(name: &str) -> Result<Self, NoSuchScope> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.name() == name)
            .ok_or_else(|| NoSuchScope(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_grow_and_keep_their_names() {
        assert!(Scope::ALL.is_sorted());
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
        }
        assert!("Read".parse::<Scope>().is_err());
    }
}
