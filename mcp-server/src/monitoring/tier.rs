//! What a call is expected to take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// A class of tools by what their calls are expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// One memory or one context of this server: 50 ms.
    Local,
    /// More than that, still without leaving the server: 100 ms.
    Fast,
    /// Another server does the work: 200 ms, its own time included.
    Gateway,
}

impl Tier {
    /// All tiers, the most demanding first.
    pub const ALL: [Self; 3] = [Self::Local, Self::Fast, Self::Gateway];

    /// How long a call may take to meet the target.
    #[must_use]
    pub const fn target(self) -> Duration {
        match self {
            Self::Local => Duration::from_millis(50),
            Self::Fast => Duration::from_millis(100),
            Self::Gateway => Duration::from_millis(200),
        }
    }

    /// The name in reports and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Fast => "fast",
            Self::Gateway => "gateway",
        }
    }
}
