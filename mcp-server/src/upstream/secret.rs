//! Texts of a connector that may name variables of the environment, and those that nobody may see.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::without_password;

/// A text in which `${NAME}` stands for a variable of the environment, `${NAME:-text}` for the same
/// with what is taken where there is none. It is replaced when the connector connects; what is kept,
/// shown and logged is the text as it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Template(String);

/// A variable that a text names and the environment does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment has no variable `{0}`: set it before the server is started")]
pub struct MissingVariable(String);

impl Template {
    /// The text as it was written.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.0
    }

    /// Whether anything of the environment is to be put into it.
    #[must_use]
    pub fn names_a_variable(&self) -> bool {
        parts(&self.0)
            .iter()
            .any(|part| matches!(part, Part::Variable { .. }))
    }

    /// The text with every variable replaced, by what `variable` says.
    ///
    /// # Errors
    ///
    /// The first variable that there is none of.
    pub fn expand(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<String, MissingVariable> {
        let mut expanded = String::with_capacity(self.0.len());
        for part in parts(&self.0) {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Variable { name, otherwise } => match (variable(name), otherwise) {
                    (Some(value), _) => expanded.push_str(&value),
                    (None, Some(text)) => expanded.push_str(text),
                    (None, None) => return Err(MissingVariable(name.to_owned())),
                },
            }
        }
        Ok(expanded)
    }
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_query(&without_password(&self.0)))
    }
}

/// A [`Template`] whose own letters are nobody's business: only the names of its variables are
/// shown. Its serialised form shows all of it, for the file that keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(Template);

impl Secret {
    /// As [`Template::names_a_variable`].
    #[must_use]
    pub fn names_a_variable(&self) -> bool {
        self.0.names_a_variable()
    }

    /// As [`Template::expand`].
    ///
    /// # Errors
    ///
    /// As [`Template::expand`].
    pub fn expand(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<String, MissingVariable> {
        self.0.expand(variable)
    }
}

impl<T: Into<Template>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in parts(self.0.as_written()) {
            match part {
                Part::Text(_) => f.write_str("***")?,
                Part::Variable {
                    name,
                    otherwise: None,
                } => write!(f, "${{{name}}}")?,
                Part::Variable { name, .. } => write!(f, "${{{name}:-***}}")?,
            }
        }
        Ok(())
    }
}

/// The same address with stars for the values in its query, unless they are variables.
fn without_query(text: &str) -> String {
    let Some((place, query)) = text.split_once('?').filter(|_| text.contains("://")) else {
        return text.to_owned();
    };
    let shown = |pair: &str| match pair.split_once('=') {
        Some((_, value)) if value.starts_with("${") && value.ends_with('}') => pair.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    };
    let pairs: Vec<_> = query.split('&').map(shown).collect();
    format!("{place}?{}", pairs.join("&"))
}

enum Part<'a> {
    Text(&'a str),
    Variable {
        name: &'a str,
        otherwise: Option<&'a str>,
    },
}

/// What is no well-formed `${NAME}` stands for itself.
fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some((before, after)) = text.split_once("${") {
        let Some((inside, rest)) = after.split_once('}') else {
            break;
        };
        let (name, otherwise) = match inside.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inside, None),
        };
        // As VS Code writes it.
        let name = name.strip_prefix("env:").unwrap_or(name);
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let (this, next) = text.split_at(before.len() + 2);
            parts.push(Part::Text(this));
            text = next;
            continue;
        }
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Variable { name, otherwise });
        text = rest;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_secrets_hidden() {
        let variable = |name: &str| (name == "TOKEN").then(|| "t0p".to_owned());
        for (text, expanded, shown) in [
            ("plain", Ok("plain"), "***"),
            ("${TOKEN}", Ok("t0p"), "${TOKEN}"),
            ("Bearer ${env:TOKEN}", Ok("Bearer t0p"), "***${TOKEN}"),
            (
                "${NONE:-x}-${TOKEN}",
                Ok("x-t0p"),
                "${NONE:-***}***${TOKEN}",
            ),
            ("a${b c}d", Ok("a${b c}d"), "******"),
            ("a${TOKEN", Ok("a${TOKEN"), "***"),
            ("${NONE}", Err("NONE"), "${NONE}"),
            ("", Ok(""), ""),
        ] {
            let secret = Secret::from(text);
            let expect = expanded.map(str::to_owned);
            assert_eq!(
                secret.expand(variable),
                expect.map_err(|name| MissingVariable(name.to_owned()))
            );
            assert_eq!(format!("{secret:?}"), shown, "{text}");
        }
        let url = Template::from("https://me:secret@host/${TOKEN}");
        assert_eq!(url.to_string(), "https://me:***@host/${TOKEN}");
        let url = Template::from("https://host/mcp?token=secret&v=${V}&secret");
        assert_eq!(url.to_string(), "https://host/mcp?token=***&v=${V}&***");
        assert_eq!(Template::from("what?now=x").to_string(), "what?now=x");
    }
}
