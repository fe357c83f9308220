//! Typed events that invalidate, and who hears of them.

mod bus;
mod subscription;

pub use bus::{CacheEventBus, CacheEventSubscriber};
pub use subscription::{Subscription, SubscriptionStats};

use crate::CacheTags;
use serde::{Deserialize, Serialize};

/// Something happened that makes cached values wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheInvalidationEvent {
    /// A tool's state changed: tag `tool:{tool_name}`.
    ToolStateChanged {
        /// The tool.
        tool_name: String,
    },
    /// An agent was made: tags `agents`, `agent:{agent_id}`, `swarm_status`.
    AgentCreated {
        /// The agent.
        agent_id: String,
    },
    /// A task was completed: tags `tasks`, `task:{task_id}`, `agent_workload`.
    TaskCompleted {
        /// The task.
        task_id: String,
    },
    /// A swarm grew or shrank: tags `swarm:{swarm_id}`, `swarm_status`, `agents`.
    SwarmScaled {
        /// The swarm.
        swarm_id: String,
    },
    /// Anything else.
    Custom {
        /// What it is called; no tag by itself.
        name: String,
        /// What it invalidates.
        tags: CacheTags,
    },
}

impl CacheInvalidationEvent {
    /// The tags that the event invalidates.
    #[must_use]
    pub fn tags(&self) -> CacheTags {
        let fixed = |names: &[&'static str], own: String| {
            let names = names.iter().map(|name| (*name).into());
            names
                .chain([own.into()])
                .collect::<Vec<std::borrow::Cow<_>>>()
        };
        let names = match self {
            Self::ToolStateChanged { tool_name } => fixed(&[], format!("tool:{tool_name}")),
            Self::AgentCreated { agent_id } => {
                fixed(&["agents", "swarm_status"], format!("agent:{agent_id}"))
            }
            Self::TaskCompleted { task_id } => {
                fixed(&["tasks", "agent_workload"], format!("task:{task_id}"))
            }
            Self::SwarmScaled { swarm_id } => {
                fixed(&["swarm_status", "agents"], format!("swarm:{swarm_id}"))
            }
            Self::Custom { tags, .. } => return tags.clone(),
        };
        names.into_iter().collect()
    }
}
