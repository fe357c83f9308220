//! The stdio server's configuration.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The shortest line bound that still carries every message of the protocol.
const LINE_BYTES_MIN: usize = 4096;

/// Configuration of the stdio server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StdioConfig {
    /// Whether requests that can be decided in one pass are answered without the SDK. The answers
    /// are the same. Default true.
    pub front: bool,
    /// The longest message, in bytes; a longer line is refused and skipped. Default 16 MiB.
    pub line_bytes_max: usize,
    /// The most requests at work at once; one more is refused at once. Default 1,000.
    pub requests_in_flight_max: NonZeroUsize,
    /// How long calls in flight may take to finish when the input ends. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drain_timeout: Duration,
}

impl Default for StdioConfig {
    fn default() -> Self {
        Self {
            front: true,
            line_bytes_max: 16 * 1024 * 1024,
            requests_in_flight_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl StdioConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.line_bytes_max < LINE_BYTES_MIN {
            return Err(ConfigError::invalid(
                "stdio.line_bytes_max",
                format!("must be at least {LINE_BYTES_MIN}"),
            ));
        }
        Ok(())
    }
}
