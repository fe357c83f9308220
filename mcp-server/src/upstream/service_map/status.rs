//! How the service map does.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::{super::Condition, ServiceMapConfig};

/// How the service map does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MapStatus {
    /// Where it is.
    pub source: String,
    /// What it comes to: `stale` is one that is in force from earlier, because what is there now
    /// cannot be read or is not signed as it should be.
    pub condition: Condition,
    /// How many connectors it lists.
    pub services: usize,
    /// The serial number of the map in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// How long ago that was read, in milliseconds; absent if it is from before the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Why no newer one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip)]
    pub(super) read_at: Option<Instant>,
}

impl MapStatus {
    /// Before it was read; `None` if the settings name none.
    pub(in crate::upstream) fn starting(config: &ServiceMapConfig) -> Option<Self> {
        let source = config.source.as_ref()?.to_string();
        Some(Self {
            source,
            condition: Condition::Starting,
            services: 0,
            serial: None,
            age_ms: None,
            error: None,
            read_at: None,
        })
    }

    /// The same, with its age at this moment.
    pub(in crate::upstream) fn aged(mut self) -> Self {
        let age = self.read_at.map(|at| at.elapsed().as_millis());
        self.age_ms = age.map(|age| u64::try_from(age).unwrap_or(u64::MAX));
        self
    }
}
