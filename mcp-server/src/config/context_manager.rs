//! The section `context_manager`: settings under the names of an earlier program, so that its file
//! loads as it is.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StoreKind, dsn::Dsn, dsn::Endpoint, lines::Lines};

/// Settings under the names of an earlier program. What is absent says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextManagerSection {
    /// The PostgreSQL database: `memory.postgres`, if it has a `dsn`; else the embedded store serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSection>,
    /// The caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSection>,
    /// The circuit breaker: `memory.circuit_breaker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerSection>,
    /// Databases to read from: `memory.postgres.read_replicas`, if there is a primary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_replicas: Vec<ReplicaSection>,
}

/// A PostgreSQL database and its connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSection {
    /// Where it is: `postgres://user:password@host:5432/database`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsn: Option<Dsn>,
    /// The most connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_conns: Option<NonZeroU32>,
    /// The most connections that are kept while nobody uses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_idle_conns: Option<u32>,
    /// How long a connection is used.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub conn_max_lifetime: Option<Duration>,
}

/// The caches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSection {
    /// In this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<InMemorySection>,
    /// In Redis: `memory.cache.redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSection>,
}

/// The cache in this process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InMemorySection {
    /// Whether there is one: `contexts.manager`, `optimised` or `standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The most entries: `contexts.cache.entries_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<NonZeroU64>,
    /// How long an entry is used: `contexts.cache.ttl.other`, for what has no class of its own.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Duration>,
}

/// The cache in Redis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSection {
    /// Whether there is one: `memory.cache.redis.enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The servers, host and port: `memory.cache.redis.endpoints`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// How long a memory is kept there: `memory.cache.redis.ttl`.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Duration>,
}

/// The circuit breaker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSection {
    /// Whether there is one: `memory.circuit_breaker.enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Failures in a row that open it: `memory.circuit_breaker.failure_threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<NonZeroU16>,
    /// How long it stays open: `memory.circuit_breaker.timeout`.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
}

/// A database to read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSection {
    /// Where it is: `postgres://user:password@host:5432/database`.
    pub dsn: Dsn,
}

impl ContextManagerSection {
    /// Without what has a meaning for this program, which is in its own settings by now; `None` if
    /// nothing is left.
    pub(crate) fn without_aliases(&self) -> Option<Self> {
        let rest = Self {
            cache: None,
            circuit_breaker: None,
            database: self
                .database
                .clone()
                .filter(|database| database.dsn.is_none()),
            read_replicas: match self.has_primary() {
                true => Vec::new(),
                false => self.read_replicas.clone(),
            },
        };
        (rest != Self::default()).then_some(rest)
    }

    fn has_primary(&self) -> bool {
        self.database
            .as_ref()
            .is_some_and(|database| database.dsn.is_some())
    }

    /// What is set and has no effect where `store` serves, each with the reason.
    pub(super) fn not_used(&self, store: StoreKind) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.database.is_some() && !self.has_primary() {
            remarks.push(
                match store {
                    StoreKind::Sqlite => {
                        "context_manager.database: it has no `dsn`, so the embedded store serves, \
                         which needs no connections"
                    }
                    StoreKind::Postgres => {
                        "context_manager.database: it has no `dsn`, so it says nothing of the \
                         database of memory.postgres"
                    }
                }
                .to_owned(),
            );
        }
        let replicas = self.read_replicas.len();
        if replicas > 0 && !self.has_primary() {
            remarks.push(format!(
                "context_manager.read_replicas: {replicas} ignored; there is no \
                 context_manager.database.dsn that they could follow"
            ));
        }
        remarks
    }

    /// Checks the relations between fields that their types do not express.
    ///
    /// # Errors
    ///
    /// The line, what is wrong and what would be right.
    pub(super) fn check(&self, lines: &Lines) -> Result<(), String> {
        let wrong = |name: &str, reason: &str| {
            let line = lines.get(name).unwrap_or_default();
            Err(format!("line {line}: `{name}` {reason}"))
        };
        if let Some(database) = &self.database
            && let (Some(open), Some(idle)) = (database.max_open_conns, database.max_idle_conns)
            && idle > open.get()
        {
            return wrong(
                "context_manager.database.max_idle_conns",
                "must not be above max_open_conns: lower it, or raise that",
            );
        }
        let redis = self.cache.as_ref().and_then(|cache| cache.redis.as_ref());
        if let Some(redis) = redis
            && redis.enabled == Some(true)
            && redis.endpoints.is_empty()
        {
            return wrong(
                "context_manager.cache.redis",
                "is enabled and names no `endpoints`: add [\"host:6379\"], or set enabled: false",
            );
        }
        Ok(())
    }
}
