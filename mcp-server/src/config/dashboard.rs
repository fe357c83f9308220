//! The page that shows how the server does.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The page at `/dashboard`, and the events that it is drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardConfig {
    /// Whether there is one. Default true.
    pub enabled: bool,
    /// How many may look at once; one more is refused with 503. Default 16. All of them share one
    /// status a second, and each costs a connection.
    pub viewers_max: NonZeroUsize,
}

impl Default for DashboardConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            viewers_max: NonZeroUsize::new(16).expect("16 is not zero"),
        }
    }
}
