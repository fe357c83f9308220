//! Addresses of services, as settings write them.

use std::fmt;

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::HostPort;

/// The address of a PostgreSQL database, password included. Only its serialised form shows that.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Dsn(String);

impl Dsn {
    /// The address, password included.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_postgres = matches!(uri.scheme_str(), Some("postgres" | "postgresql"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        (is_postgres && has_host).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl<'de> Deserialize<'de> for Dsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{}` is no address of PostgreSQL: write postgres://user:password@host:5432/database, \
                 with special characters percent-encoded",
                without_password(&text)
            ))
        })
    }
}

/// The same address with stars for its password, if it has one.
pub(crate) fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, host) = authority.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}{path}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Endpoint(String);

impl Endpoint {
    /// Host and port, as written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match HostPort::parse(&text) {
            Some(HostPort { port: Some(_), .. }) => Ok(Self(text)),
            _ => Err(D::Error::custom(format!(
                "`{text}` is no host and port: write redis.example.com:6379"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_passwords_hidden() {
        for (text, shown) in [
            (
                "postgres://reader:pass@replica1:5432/mcp",
                Some("postgres://reader:***@replica1:5432/mcp"),
            ),
            ("postgresql://host/db", Some("postgresql://host/db")),
            (
                "postgres://u@host/db?a=b:c@d",
                Some("postgres://u@host/db?a=b:c@d"),
            ),
            ("postgres://u:p:q@host", Some("postgres://u:***@host")),
            ("mysql://host/db", None),
            ("postgres://", None),
            ("host:5432", None),
            ("", None),
        ] {
            let parsed = Dsn::parse(text);
            let parsed = parsed.map(|dsn| format!("{dsn:?}"));
            assert_eq!(parsed.as_deref(), shown, "{text}");
        }
    }
}
