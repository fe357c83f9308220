//! How a connector does.

use schemars::JsonSchema;
use serde::Serialize;

use crate::monitoring::{Dependency, DependencyKind, DependencyState};

/// How a connector does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What it comes to.
    pub condition: Condition,
    /// How many of its tools can be called here.
    pub tools: usize,
    /// How it is reached: `stdio` or `http`.
    pub transport: &'static str,
    /// The name and version that the server gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The revision of the protocol that is spoken with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// How old its list of tools is, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Status {
    /// The connector as something that the server depends on; `None` before it was asked.
    #[must_use]
    pub fn as_dependency(&self) -> Option<Dependency> {
        Some(Dependency {
            name: self.name.clone(),
            kind: DependencyKind::Connector,
            state: match self.condition {
                Condition::Starting => return None,
                Condition::Ready => DependencyState::Up,
                Condition::Stale => DependencyState::Degraded,
                Condition::Failed => DependencyState::Down,
            },
            detail: self.error.clone().unwrap_or_default(),
        })
    }
}

/// What a connector's state comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It was not asked yet.
    Starting,
    /// Its tools are known.
    Ready,
    /// Its tools are known from earlier; now it does not answer.
    Stale,
    /// Its tools are not known: it does not answer.
    Failed,
}
