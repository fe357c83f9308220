//! How often one caller may ask.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How often one caller may ask: who shows a token, or an address from where none is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Requests per second in the long run; 0: as many as it likes. Default 0. What is beyond is
    /// refused with 429 and the time to wait.
    pub per_second: u32,
    /// Requests that may come at once after a pause. Default 100.
    pub burst: u32,
    /// Callers that are told apart; any more share one allowance until some have paused. Default
    /// 10,000. Each costs about 100 bytes.
    pub callers_max: NonZeroUsize,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            per_second: 0,
            burst: 100,
            callers_max: NonZeroUsize::new(10_000).expect("10,000 is not zero"),
        }
    }
}

impl RateLimitConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self.per_second > 0 && self.burst == 0 {
            true => Err(ConfigError::invalid(
                "http.rate_limit.burst",
                "must not be 0: every request would be refused",
            )),
            false => Ok(()),
        }
    }
}
