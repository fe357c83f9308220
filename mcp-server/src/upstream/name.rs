//! What a connector is called.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The longest name, in bytes: it may become the beginning of a tool's name.
const NAME_BYTES_MAX: usize = 48;

/// The name of a connector: letters, digits, `-`, `_` and `.`, at most 48 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ConnectorName(String);

impl ConnectorName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that is nearest to what another program calls it: what is not allowed becomes `-`.
    #[must_use]
    pub fn near(text: &str) -> Option<Self> {
        let allowed = |letter: char| match is_allowed(letter) {
            true => letter,
            false => '-',
        };
        let name: String = text
            .trim()
            .chars()
            .map(allowed)
            .take(NAME_BYTES_MAX)
            .collect();
        name.parse().ok()
    }
}

fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Text that is no connector's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a connector: 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`")]
pub struct BadName(String);

impl FromStr for ConnectorName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
        match fits && text.chars().all(is_allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadName(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for ConnectorName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectorName;

    #[test]
    fn names_are_plain() {
        for (text, near) in [
            ("github", Some("github")),
            ("a.b_c-1", Some("a.b_c-1")),
            ("My Server", Some("My-Server")),
            ("ü/x", Some("--x")),
            ("", None),
        ] {
            assert_eq!(
                ConnectorName::near(text)
                    .as_ref()
                    .map(ConnectorName::as_str),
                near
            );
            assert_eq!(
                text.parse::<ConnectorName>().is_ok(),
                near == Some(text),
                "{text}"
            );
        }
        assert!("x".repeat(49).parse::<ConnectorName>().is_err());
    }
}
