//! Addresses of services, as settings write them.

use std::fmt;

use http::{Uri, uri::Authority};
use percent_encoding::percent_decode_str;
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

/// The address of a Redis server, password included. Only its serialised form shows that.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The address, password included.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and the port, without a password; the usual port where none is named.
    pub(crate) fn place(&self) -> String {
        let uri: Option<Uri> = self.0.parse().ok();
        let authority = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
        let place = authority.map(|it| it.rsplit_once('@').map_or(it, |(_, place)| place));
        let place = place.unwrap_or_default();
        match HostPort::parse(place) {
            Some(HostPort { port: None, .. }) => format!("{place}:6379"),
            _ => place.to_owned(),
        }
    }

    /// The user and the password in it.
    pub(crate) fn login(&self) -> (Option<String>, Option<String>) {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8_lossy();
            (!text.is_empty()).then(|| text.into_owned())
        };
        let uri: Option<Uri> = self.0.parse().ok();
        let authority = uri.as_ref().and_then(Uri::authority);
        let login = authority.and_then(|authority| authority.as_str().rsplit_once('@'));
        match login.map(|(login, _)| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (decoded(user), decoded(password)),
            None => (None, None),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(HostPort { port: Some(_), .. }) = HostPort::parse(text) {
            return Some(Self(format!("redis://{text}")));
        }
        let uri: Uri = text.parse().ok()?;
        let is_redis = matches!(uri.scheme_str(), Some("redis" | "rediss"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        (is_redis && has_host).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{}` is no address of Redis: write redis.example.com:6379, or \
                 redis://user:password@host:6379 with special characters percent-encoded",
                without_password(&text)
            ))
        })
    }
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

    #[test]
    fn addresses_of_redis_are_checked_and_passwords_hidden() {
        for (text, shown) in [
            ("redis-node1:6379", Some("redis://redis-node1:6379")),
            ("redis://:pass@h", Some("redis://:***@h")),
            ("rediss://u:pass@h:1/2", Some("rediss://u:***@h:1/2")),
            ("redis-node1", None),
            ("http://h", None),
            ("", None),
        ] {
            let parsed = RedisUrl::parse(text);
            let parsed = parsed.map(|url| format!("{url:?}"));
            assert_eq!(parsed.as_deref(), shown, "{text}");
        }
        let some = |text: &str| Some(text.to_owned());
        for (text, login) in [
            ("redis://h:1", (None, None)),
            ("redis://:p%40s@h:1", (None, some("p@s"))),
            ("redis://u:p@h:1", (some("u"), some("p"))),
        ] {
            assert_eq!(RedisUrl::parse(text).unwrap().login(), login, "{text}");
        }
    }
}
