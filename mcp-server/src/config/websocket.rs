//! MCP over WebSockets.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// MCP over WebSockets, at `/mcp/ws`. A message is bounded as a body is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketConfig {
    /// Whether there are any. Default true.
    pub enabled: bool,
    /// The most at once; one more is refused with 503. Default 1,000. Each costs about 150 KiB.
    pub connections_max: NonZeroUsize,
    /// The most requests of one at work at once; one more is refused at once. Default 100.
    pub requests_in_flight_max: NonZeroUsize,
    /// How long a client may be silent, which is asked for a sign of life thrice in that time.
    /// Default 90 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle_timeout: Duration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            connections_max: NonZeroUsize::new(1_000).expect("1,000 is not zero"),
            requests_in_flight_max: NonZeroUsize::new(100).expect("100 is not zero"),
            idle_timeout: Duration::from_secs(90),
        }
    }
}

impl WebSocketConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self.idle_timeout < Duration::from_millis(3) {
            true => Err(ConfigError::invalid(
                "http.websocket.idle_timeout",
                "must be at least 3ms: every client would be hung up",
            )),
            false => Ok(()),
        }
    }
}
