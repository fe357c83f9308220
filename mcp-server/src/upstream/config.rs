//! Settings of the gateway.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectorName, ServerConfig, ServiceMapConfig};
use crate::{adapters::GuardConfig, config::ConfigError};

/// The gateway to other MCP servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectorsConfig {
    /// The upstreams, by name, besides those that `mcp-server connectors add` keeps in the data
    /// folder; one of the same name here goes before. Reloadable.
    pub servers: BTreeMap<ConnectorName, ServerConfig>,
    /// How many are asked for their tools at once. Default 4. Raising it shortens a start with many
    /// slow ones.
    pub syncs_max: NonZeroUsize,
    /// How long a connection may take to be ready, its first exchange included. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long a call may take, unless its connector says otherwise; news of its progress count
    /// from the start. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Calls of one connector at work at once; one more is refused at once. Default 64. Raising it
    /// lets one hung upstream hold more memory.
    pub in_flight_max: NonZeroUsize,
    /// HTTP connections to one upstream, those that wait for news included. Default 32.
    pub connections_max: NonZeroU32,
    /// The longest answer that is read, in bytes. Default 16 MiB.
    pub answer_bytes_max: NonZeroUsize,
    /// The most tools that one upstream may have; what is beyond them is left out. Default 1,000.
    pub tools_max: NonZeroUsize,
    /// When an upstream is left alone after failures.
    pub circuit_breaker: GuardConfig,
    /// How calls that are safe to repeat are repeated.
    pub retry: RetryConfig,
    /// How lists of tools are kept and asked for again.
    pub refresh: RefreshConfig,
    /// What is kept of results, for the tools whose connector says so.
    pub results: ResultsConfig,
    /// More connectors, which somebody else lists and signs. Those of the same name in `servers` and
    /// in the data folder go before.
    pub service_map: ServiceMapConfig,
}

/// How calls that are safe to repeat (of tools that say that they only read, or that a second call
/// changes nothing more; and any call that was never sent) are repeated once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The most repeated calls, as a share of all; 0 for none. Default 0.2.
    pub share_max: f64,
}

/// How lists of tools are kept and asked for again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RefreshConfig {
    /// Whether a start waits until every upstream was asked once, or could not be. Default false:
    /// the server is ready before any upstream is. The variable `MCP_CONNECTOR_REFRESH_SYNC` goes
    /// before.
    pub sync: bool,
    /// How often each upstream is asked for its tools again; each time is up to a fifth shorter or
    /// longer at random. `0s`: never in the background. Default 5 min. The variable
    /// `MCP_CONNECTOR_REFRESH_INTERVAL_MS` goes before.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// For how many of a hundred connectors, chosen by their names, there is a background refresh.
    /// Default 100. Lower it to try a new release on a part of them.
    pub share_percent: u8,
    /// How long a list is fresh if the upstream does not say. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub ttl: Duration,
    /// How long an old list is served, marked as stale, while its upstream does not answer. Default
    /// 24 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub stale_max: Duration,
    /// The first pause after a failure; each further one is twice as long. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub backoff: Duration,
    /// The longest pause after failures. Default 10 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub backoff_max: Duration,
    /// Attempts to reach an upstream that fail, in a day; then it is left alone until the next day.
    /// Default 300.
    pub failures_per_day_max: NonZeroU32,
}

/// What is kept of results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResultsConfig {
    /// Bytes of results, of all connectors together. Default 64 MiB.
    pub bytes_max: NonZeroUsize,
    /// Whether callers who ask a tool that only reads for the same at once share one call. Default
    /// true.
    pub share_calls: bool,
}

const fn size(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("not zero")
}

const fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

impl Default for ConnectorsConfig {
    fn default() -> Self {
        Self {
            servers: BTreeMap::new(),
            syncs_max: size(4),
            connect_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            in_flight_max: size(64),
            connections_max: count(32),
            answer_bytes_max: size(16 << 20),
            tools_max: size(1_000),
            circuit_breaker: GuardConfig::default(),
            retry: RetryConfig::default(),
            refresh: RefreshConfig::default(),
            results: ResultsConfig::default(),
            service_map: ServiceMapConfig::default(),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { share_max: 0.2 }
    }
}

impl Default for RefreshConfig {
    fn default() -> Self {
        Self {
            sync: false,
            interval: Duration::from_secs(300),
            share_percent: 100,
            ttl: Duration::from_secs(300),
            stale_max: Duration::from_secs(24 * 3_600),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(600),
            failures_per_day_max: count(300),
        }
    }
}

impl Default for ResultsConfig {
    fn default() -> Self {
        Self {
            bytes_max: size(64 << 20),
            share_calls: true,
        }
    }
}

impl ConnectorsConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] names the field, the reason and what would be right.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (name, server) in &self.servers {
            server.validate().map_err(|reason| {
                ConfigError::invalid(
                    "connectors.servers",
                    format!("has `{name}`, which {reason}"),
                )
            })?;
        }
        self.circuit_breaker.validate().map_err(|error| {
            ConfigError::invalid("connectors.circuit_breaker", error.to_string())
        })?;
        let refresh = &self.refresh;
        let spans = [
            ("connectors.connect_timeout", self.connect_timeout),
            ("connectors.call_timeout", self.call_timeout),
            ("connectors.refresh.ttl", refresh.ttl),
            ("connectors.refresh.backoff", refresh.backoff),
            ("connectors.refresh.backoff_max", refresh.backoff_max),
        ];
        if let Some((field, _)) = spans.iter().find(|(_, span)| *span < LEAST) {
            return Err(ConfigError::invalid(field, "must be at least 1ms"));
        }
        if !(refresh.interval.is_zero() || refresh.interval >= LEAST) {
            return Err(ConfigError::invalid(
                "connectors.refresh.interval",
                "must be 0s, for never, or at least 1ms",
            ));
        }
        let longest = [
            ("connectors.refresh.stale_max", refresh.stale_max),
            ("connectors.refresh.ttl", refresh.ttl),
        ];
        if let Some((field, _)) = longest.iter().find(|(_, span)| *span > LONGEST) {
            return Err(ConfigError::invalid(field, "must be at most 30 days"));
        }
        if refresh.share_percent > 100 {
            return Err(ConfigError::invalid(
                "connectors.refresh.share_percent",
                "must be from 0 to 100",
            ));
        }
        self.service_map
            .validate()
            .map_err(|(field, reason)| ConfigError::invalid(field, reason))?;
        if !(0.0..=1.0).contains(&self.retry.share_max) {
            return Err(ConfigError::invalid(
                "connectors.retry.share_max",
                "must be from 0 to 1",
            ));
        }
        Ok(())
    }
}

const LEAST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The name of the file in the data folder that keeps connectors.
pub(super) const FILE_NAME: &str = "connectors.json";

/// Where the connectors of `data_dir` are kept.
#[must_use]
pub fn registry_path(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join(FILE_NAME)
}
