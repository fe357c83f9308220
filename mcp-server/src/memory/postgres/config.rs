//! How the PostgreSQL store runs.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::Dsn, memory::search::IndexConfig, telemetry::SlowOperationsConfig};

/// How many connections a process may have to one server.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 20..=100;

/// Configuration of the store in a PostgreSQL database, which any number of servers may share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// The database: `postgres://user:password@host:5432/database`. Several hosts, separated by
    /// commas, are tried in order. Beyond this machine the connection is encrypted and the server's
    /// certificate checked, unless the address says `?sslmode=disable`. Absent by default; required
    /// where `memory.store` is `postgres`.
    pub dsn: Option<Dsn>,
    /// Databases that follow the one above by streaming replication. Reads are spread over those
    /// that have all that the reader must see. Any of them may become the primary; that is noticed.
    pub read_replicas: Vec<Dsn>,
    /// The certificates, as a PEM file, that vouch for the servers; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// The most connections to each server, from 20 to 100. Default 50.
    pub connections_max: NonZeroU32,
    /// The most of them that are kept while nobody uses them. Default 25.
    pub connections_idle_max: u32,
    /// How long a connection is used, give or take a tenth. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connection_lifetime: Duration,
    /// How long anything waits for a connection; calls have `memory.operation_timeout`, if that is
    /// less. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub acquire_timeout: Duration,
    /// A connection that nobody has used for so long is tried before it is used. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub check_after: Duration,
    /// The server itself ends a statement after this time, also if this process is gone. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub statement_timeout: Duration,
    /// The most operations that wait for a connection; one more is refused at once. Default 1,000.
    pub queue_len_max: NonZeroUsize,
    /// The most stored text that one answer holds, in bytes; a search stops there and says so.
    /// Default 4 MiB.
    pub answer_bytes_max: NonZeroUsize,
    /// How often each server is asked whether it is the primary and how far it is. One that does
    /// not answer within this time is not used until it does. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub replica_check_interval: Duration,
    /// A replica that is further behind than this, in bytes of the write-ahead log, is not read
    /// from. Default 16 MiB.
    pub replica_lag_bytes_max: NonZeroU64,
    /// Which statements are noted as slow.
    pub slow_queries: SlowOperationsConfig,
    /// The search index, which every process keeps in its data folder and makes by itself.
    pub index: IndexConfig,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            dsn: None,
            read_replicas: Vec::new(),
            ca_file: None,
            connections_max: NonZeroU32::new(50).expect("50 is not zero"),
            connections_idle_max: 25,
            connection_lifetime: Duration::from_secs(300),
            acquire_timeout: Duration::from_secs(10),
            check_after: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(5),
            queue_len_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
            answer_bytes_max: NonZeroUsize::new(4 * 1024 * 1024).expect("4 MiB is not zero"),
            replica_check_interval: Duration::from_secs(1),
            replica_lag_bytes_max: NonZeroU64::new(16 * 1024 * 1024).expect("16 MiB is not zero"),
            slow_queries: SlowOperationsConfig::default(),
            index: IndexConfig::default(),
        }
    }
}

impl PostgresConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field with its section, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let connections = self.connections_max.get();
        if !CONNECTIONS.contains(&connections) {
            return Err((
                "memory.postgres.connections_max",
                format!("must be from 20 to 100, not {connections}"),
            ));
        }
        if self.connections_idle_max > connections {
            return Err((
                "memory.postgres.connections_idle_max",
                "must not be above connections_max: lower it, or raise that".to_owned(),
            ));
        }
        for (field, span) in [
            (
                "memory.postgres.connection_lifetime",
                self.connection_lifetime,
            ),
            ("memory.postgres.acquire_timeout", self.acquire_timeout),
            ("memory.postgres.check_after", self.check_after),
            ("memory.postgres.statement_timeout", self.statement_timeout),
            (
                "memory.postgres.replica_check_interval",
                self.replica_check_interval,
            ),
        ] {
            if !(Duration::from_millis(1)..=mcp_pool::DURATION_MAX).contains(&span) {
                return Err((field, "must be from 1ms to 30 days".to_owned()));
            }
        }
        Ok(())
    }

    /// What the pool of each server is told.
    pub(crate) fn pool(&self) -> mcp_pool::Config {
        let most = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        mcp_pool::Config {
            max_connections: most(self.connections_max.get()),
            max_idle: Some(most(self.connections_idle_max)),
            max_waiters: self.queue_len_max.get(),
            acquire_timeout: self.acquire_timeout,
            check_after: self.check_after,
            max_lifetime: Some(self.connection_lifetime),
            connect_backoff_max: Duration::from_secs(1),
            ..mcp_pool::Config::default()
        }
    }
}
