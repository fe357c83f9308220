//! How servers share what they have read, by Redis.

use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{adapters::GuardConfig, config::RedisUrl};

/// How many connections a process may have.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 10..=50;
/// The longest that anything here may be waited for or kept.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Configuration of what servers on one PostgreSQL database share by Redis. What is there is used
/// only where the database says that it is still so; a Redis that is gone, slow or wrong costs time
/// and never an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SharedConfig {
    /// Whether anything is shared. Default false.
    pub enabled: bool,
    /// Where Redis is: `redis://user:password@host:6379`, `rediss://` with TLS, or `host:6379`. One
    /// is a server, several are nodes of a cluster, unless they are sentinels. Empty by default.
    pub endpoints: Vec<RedisUrl>,
    /// The name of the group whose master is used; then `endpoints` are the sentinels that know it. A
    /// user and a password there are shown to the sentinels and to the master. Absent by default.
    pub sentinel_group: Option<String>,
    /// The certificates, as a PEM file, that vouch for `rediss://` servers; those of the system when
    /// absent.
    pub ca_file: Option<PathBuf>,
    /// What all keys begin with. Default `mcp-server`. Servers on different databases need different
    /// ones: they would throw out each other's.
    pub namespace: String,
    /// The most connections, from 10 to 50; each carries many calls at once. Default 10.
    pub connections_max: NonZeroUsize,
    /// How long connecting may take, which no call waits for. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long a read waits for Redis before it asks the database. Default 20 ms. Raising it lets
    /// reads wait longer for a Redis that hangs, until it is left alone.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub deadline: Duration,
    /// How long a memory is kept. Default 1 h. A search is kept until `memory.cache.ttl` after it
    /// was run.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub ttl: Duration,
    /// A memory or search that is larger is not shared. Default 1 MiB.
    pub value_bytes_max: NonZeroUsize,
    /// The most answers that wait to be stored; further ones are not. Default 1,000, and no more than
    /// 16 MiB of them.
    pub queue_len_max: NonZeroUsize,
    /// Failures in a row after which Redis is left alone. Default 5.
    pub failure_threshold: NonZeroU16,
    /// How long, before one call tries again. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub pause: Duration,
}

impl Default for SharedConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoints: Vec::new(),
            sentinel_group: None,
            ca_file: None,
            namespace: "mcp-server".to_owned(),
            connections_max: NonZeroUsize::new(10).expect("10 is not zero"),
            connect_timeout: Duration::from_secs(1),
            deadline: Duration::from_millis(20),
            ttl: Duration::from_secs(3_600),
            value_bytes_max: NonZeroUsize::new(1024 * 1024).expect("1 MiB is not zero"),
            queue_len_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
            failure_threshold: NonZeroU16::new(5).expect("5 is not zero"),
            pause: Duration::from_secs(1),
        }
    }
}

impl SharedConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field with its section, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.enabled && self.endpoints.is_empty() {
            return Err((
                "memory.cache.redis.endpoints",
                "must name a server where memory.cache.redis is enabled: [\"host:6379\"]"
                    .to_owned(),
            ));
        }
        if !CONNECTIONS.contains(&self.connections_max.get()) {
            return Err((
                "memory.cache.redis.connections_max",
                format!("must be from 10 to 50, not {}", self.connections_max),
            ));
        }
        for (field, span) in [
            ("memory.cache.redis.connect_timeout", self.connect_timeout),
            ("memory.cache.redis.deadline", self.deadline),
            ("memory.cache.redis.ttl", self.ttl),
            ("memory.cache.redis.pause", self.pause),
        ] {
            if !(Duration::from_millis(1)..=SPAN_MAX).contains(&span) {
                return Err((field, "must be from 1ms to 30 days".to_owned()));
            }
        }
        let redis = self.redis().validate();
        redis.map_err(|error| ("memory.cache.redis", error.to_string()))
    }

    /// What the client of Redis is told.
    pub(super) fn redis(&self) -> mcp_cache::RedisConfig {
        let urls = || self.endpoints.iter().map(|url| url.as_str().to_owned());
        let endpoint = match (&self.sentinel_group, &self.endpoints[..]) {
            (Some(service), sentinels) => {
                let login = sentinels.first().map(RedisUrl::login);
                let (username, password) = login.unwrap_or_default();
                mcp_cache::RedisEndpoint::Sentinel {
                    urls: urls().collect(),
                    service: service.clone(),
                    username,
                    password,
                }
            }
            (None, [url]) => mcp_cache::RedisEndpoint::Single {
                url: url.as_str().to_owned(),
            },
            (None, []) => mcp_cache::RedisConfig::default().endpoint,
            (None, _) => mcp_cache::RedisEndpoint::Cluster {
                urls: urls().collect(),
            },
        };
        mcp_cache::RedisConfig {
            endpoint,
            connections: self.connections_max.get(),
            connect_timeout: self.connect_timeout,
            namespace: self.namespace.clone(),
            tls: mcp_cache::RedisTls {
                ca_file: self.ca_file.clone(),
                ..mcp_cache::RedisTls::default()
            },
        }
    }

    /// What the circuit breaker is told: one trial that succeeds is enough, for it costs nothing.
    pub(super) fn breaker(&self) -> mcp_breaker::Config {
        GuardConfig {
            enabled: true,
            failure_threshold: self.failure_threshold,
            success_threshold: NonZeroU16::MIN,
            timeout: self.pause,
        }
        .breaker()
    }
}
