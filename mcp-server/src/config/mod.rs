//! The configuration: YAML file, then environment, then command line.

mod alias;
mod authority;
mod compression;
mod context_manager;
mod dashboard;
mod dsn;
mod http;
mod lines;
mod load;
mod log;
mod origin;
mod rate;
mod reload;
mod stdio;
mod websocket;

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use authority::{HostPort, Origin};
pub use compression::CompressionConfig;
pub use context_manager::{
    BreakerSection, CacheSection, ContextManagerSection, DatabaseSection, InMemorySection,
    RedisSection, ReplicaSection,
};
pub use dashboard::DashboardConfig;
pub(crate) use dsn::without_password;
pub use dsn::{Dsn, Endpoint, RedisUrl};
pub use http::HttpConfig;
pub use load::{ConfigError, load};
pub use log::{LogConfig, LogFormat};
pub use origin::{Origins, SetBy};
pub use rate::RateLimitConfig;
pub use reload::{RELOADABLE, Reload};
pub use stdio::StdioConfig;
pub use websocket::WebSocketConfig;

use crate::{
    adapters::{BatchConfig, CacheConfig, GuardConfig},
    admission::LanesConfig,
    context::ContextsConfig,
    memory::{Limits, postgres::PostgresConfig, sqlite::SqliteConfig},
    monitoring::MonitoringConfig,
    telemetry::SlowOperationsConfig,
    upstream::ConnectorsConfig,
};

/// Everything that can be set. `Default` is what runs without any configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub http: HttpConfig,
    /// The stdio server.
    pub stdio: StdioConfig,
    /// How many calls are at work at once, and what share of them each kind of client has.
    /// Reloadable.
    pub lanes: LanesConfig,
    /// The memory service and its store.
    pub memory: MemoryConfig,
    /// Contexts and their manager.
    pub contexts: ContextsConfig,
    /// The gateway to other MCP servers.
    pub connectors: ConnectorsConfig,
    /// Which operations are noted as slow.
    pub slow_operations: SlowOperationsConfig,
    /// Whether and how the server watches itself.
    pub monitoring: MonitoringConfig,
    /// Settings under the names of an earlier program, in the file only. What they mean here is laid
    /// over `memory` and `contexts` when the file is read. Absent by default.
    pub context_manager: Option<ContextManagerSection>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Leaves out whatever makes the server faster or guards it from its own dependencies, and
    /// keeps what is needed to be right: to find out whether one of those parts is at fault.
    /// Default false.
    pub safe_mode: bool,
}

/// The memory service and its store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// The folder that holds everything; the platform's folder for application data when absent
    /// (`~/.local/share/mcp-server` on Linux).
    pub data_dir: Option<PathBuf>,
    /// How long one operation, or one batch of them, may take; then it is given up, and its caller
    /// told so within another 10 ms. Default 100 ms. Imports and exports take the time they need.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub operation_timeout: Duration,
    /// What callers may send. Reloadable.
    pub limits: Limits,
    /// Which store keeps memories and contexts. Default `sqlite`.
    pub store: StoreKind,
    /// The embedded store.
    pub sqlite: SqliteConfig,
    /// The store in a PostgreSQL database, for more than one machine.
    pub postgres: PostgresConfig,
    /// How writes are put together.
    pub batch: BatchConfig,
    /// When the store is left alone after failures.
    pub circuit_breaker: GuardConfig,
    /// What is kept in memory of what was read.
    pub cache: CacheConfig,
}

/// Which store keeps memories and contexts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A file in the data folder.
    #[default]
    Sqlite,
    /// A PostgreSQL database, which any number of servers share.
    Postgres,
}

impl MemoryConfig {
    /// The most stored text of one answer of the store, in bytes.
    pub(crate) fn answer_bytes_max(&self) -> usize {
        match self.store {
            StoreKind::Sqlite => self.sqlite.answer_bytes_max.get(),
            StoreKind::Postgres => self.postgres.answer_bytes_max.get(),
        }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            data_dir: None,
            operation_timeout: Duration::from_millis(100),
            limits: Limits::default(),
            store: StoreKind::default(),
            sqlite: SqliteConfig::default(),
            postgres: PostgresConfig::default(),
            batch: BatchConfig::default(),
            circuit_breaker: GuardConfig::default(),
            cache: CacheConfig::default(),
        }
    }
}

/// All settings with their defaults, as a file with a remark on each that needs one.
pub const DEFAULT_FILE: &str = include_str!("default.yaml");

impl Config {
    /// The JSON Schema of the file, for editors.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    /// Checks the relations between fields that their types do not express.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] names the field, the reason and what would be right.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.http.validate()?;
        self.stdio.validate()?;
        self.lanes
            .validate()
            .map_err(|(field, reason)| ConfigError::invalid(field, reason))?;
        self.memory
            .circuit_breaker
            .validate()
            .map_err(|error| ConfigError::invalid("memory.circuit_breaker", error.to_string()))?;
        self.contexts.validate()?;
        self.connectors.validate()?;
        self.monitoring
            .validate()
            .map_err(|(field, reason)| ConfigError::invalid(field, reason))?;
        self.memory
            .batch
            .validate()
            .map_err(|error| ConfigError::invalid("memory.batch", error.to_string()))?;
        self.memory
            .cache
            .validate()
            .map_err(|error| ConfigError::invalid("memory.cache", error.to_string()))?;
        self.memory
            .cache
            .redis
            .validate()
            .map_err(|(field, reason)| ConfigError::invalid(field, reason))?;
        self.memory
            .postgres
            .validate()
            .map_err(|(field, reason)| ConfigError::invalid(field, reason))?;
        if self.memory.store == StoreKind::Postgres && self.memory.postgres.dsn.is_none() {
            return Err(ConfigError::invalid(
                "memory.postgres.dsn",
                "must be set where memory.store is postgres: \
                 postgres://user:password@host:5432/database",
            ));
        }
        if self.memory.operation_timeout < Duration::from_millis(1) {
            return Err(ConfigError::invalid(
                "memory.operation_timeout",
                "must be at least 1ms: nothing could be done",
            ));
        }
        let limits = &self.memory.limits;
        if limits.results_default == 0 || limits.results_default > limits.results_max {
            return Err(ConfigError::invalid(
                "memory.limits.results_default",
                "must be from 1 to memory.limits.results_max",
            ));
        }
        if limits.content_bytes_max == 0 || limits.batch_len_max == 0 {
            return Err(ConfigError::invalid(
                "memory.limits",
                "content_bytes_max and batch_len_max must not be 0: nothing could be stored",
            ));
        }
        let largest = limits.content_bytes_max
            + limits.metadata_bytes_max
            + limits.tags_max * (limits.name_bytes_max + 3);
        if self.memory.answer_bytes_max() < largest {
            let field = match self.memory.store {
                StoreKind::Sqlite => "memory.sqlite.answer_bytes_max",
                StoreKind::Postgres => "memory.postgres.answer_bytes_max",
            };
            return Err(ConfigError::invalid(
                field,
                format!(
                    "is too small for the largest memory that memory.limits allows, {largest} \
                     bytes: it could be stored, but not read"
                ),
            ));
        }
        Ok(())
    }

    /// What is set and has no effect, each with the reason.
    #[must_use]
    pub fn not_used(&self) -> Vec<String> {
        let section = self.context_manager.as_ref();
        let mut remarks =
            section.map_or_else(Vec::new, |section| section.not_used(self.memory.store));
        if self.memory.store == StoreKind::Sqlite
            && self.memory.postgres != PostgresConfig::default()
        {
            remarks.push(
                "memory.postgres: the embedded store serves; set memory.store to postgres"
                    .to_owned(),
            );
        }
        if self.memory.store == StoreKind::Sqlite && self.memory.cache.redis.enabled {
            remarks.push(
                "memory.cache.redis: the embedded store serves, and its file is nearer than any Redis"
                    .to_owned(),
            );
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, DEFAULT_FILE};

    #[test]
    fn the_readme_shows_the_defaults() {
        let readme = include_str!("../../README.md");
        let block = readme
            .split("```")
            .find_map(|block| block.strip_prefix("yaml\n"));
        let yaml = DEFAULT_FILE;
        assert_eq!(block, Some(yaml));
        let shown: Config = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(shown, Config::default());
        let keys = |config: &Config| {
            serde_json::to_string(config)
                .unwrap()
                .matches("\":")
                .count()
        };
        let lines = yaml.lines().filter(|line| line.contains(':'));
        assert_eq!(lines.count(), keys(&shown), "a setting is missing");
    }
}
