//! Where Redis is, and how it is connected to.

use crate::error::{ConfigError, check};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// How Redis is used as a second tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where it is.
    pub endpoint: RedisEndpoint,
    /// The most connections for looks and invalidations, each shared by many
    /// callers; a further one is made when those there are busy. One more stores
    /// values, and one listens. Default 10.
    pub connections: usize,
    /// How long connecting may take. Default `1s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// What all keys begin with; processes of one namespace share their values
    /// and invalidations. Default `mcp`.
    pub namespace: String,
    /// Certificates for `rediss://` addresses. Default: the system's.
    pub tls: RedisTls,
}

/// Certificates in PEM files, which are read once, by
/// [`RedisStore::new`](crate::RedisStore::new).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisTls {
    /// Those that are trusted, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// This process's own, with its chain, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its key; both or none.
    pub key_file: Option<PathBuf>,
}

/// Where Redis is. Addresses are `redis://user:password@host:port/db`, or
/// `rediss://` with the feature `redis-tls`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RedisEndpoint {
    /// One server.
    Single {
        /// Its address.
        url: String,
    },
    /// The master of a group, by the sentinels that watch it.
    Sentinel {
        /// The sentinels' addresses. User and password there are for the
        /// sentinels; the database is that of the servers, and `rediss://` is for
        /// both.
        urls: Vec<String>,
        /// The group's name.
        service: String,
        /// For the servers, if they ask for one.
        #[serde(default)]
        username: Option<String>,
        /// For the servers, if they ask for one.
        #[serde(default)]
        password: Option<String>,
    },
    /// A cluster.
    Cluster {
        /// The addresses of some of its nodes.
        urls: Vec<String>,
    },
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            endpoint: RedisEndpoint::Single {
                url: "redis://127.0.0.1:6379".to_owned(),
            },
            connections: 10,
            connect_timeout: Duration::from_secs(1),
            namespace: "mcp".to_owned(),
            tls: RedisTls::default(),
        }
    }
}

impl RedisConfig {
    /// One server, and the default for the rest.
    #[must_use]
    pub fn single(url: impl Into<String>) -> Self {
        Self {
            endpoint: RedisEndpoint::Single { url: url.into() },
            ..Self::default()
        }
    }

    /// Checks every field; addresses are looked at by
    /// [`RedisStore::new`](crate::RedisStore::new).
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(
            (1..=50).contains(&self.connections),
            "connections",
            "must be from 1 to 50",
        )?;
        check(
            (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&self.connect_timeout),
            "connect_timeout",
            "must be from 1ms to 60s",
        )?;
        check(
            !self.namespace.is_empty() && !self.namespace.contains(['{', '}', ':']),
            "namespace",
            "must be a name without braces and colons",
        )?;
        check(
            self.tls.cert_file.is_some() == self.tls.key_file.is_some(),
            "tls.key_file",
            "belongs to tls.cert_file: set both or none",
        )?;
        check(
            cfg!(feature = "redis-tls") || self.tls == RedisTls::default(),
            "tls",
            "needs the feature redis-tls",
        )?;
        let urls = match &self.endpoint {
            RedisEndpoint::Single { .. } => return Ok(()),
            RedisEndpoint::Sentinel { urls, .. } | RedisEndpoint::Cluster { urls } => urls,
        };
        check(!urls.is_empty(), "endpoint.urls", "must not be empty")
    }
}

/// Without addresses, which may hold a password.
impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = match self {
            Self::Single { .. } => f.debug_struct("Single"),
            Self::Sentinel { .. } => f.debug_struct("Sentinel"),
            Self::Cluster { .. } => f.debug_struct("Cluster"),
        };
        out.finish_non_exhaustive()
    }
}
