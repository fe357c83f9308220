//! `get_performance_status`: says how the server does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    monitoring::{Monitor, Summary, Tier},
};

/// Says how the server does.
#[derive(Debug)]
pub struct GetPerformanceStatus {
    monitor: Monitor,
}

impl GetPerformanceStatus {
    /// The tool that asks `monitor`.
    #[must_use]
    pub fn new(monitor: Monitor) -> Self {
        Self { monitor }
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Tool for GetPerformanceStatus {
    type Arguments = Nothing;
    type Output = Summary;

    const NAME: &'static str = "get_performance_status";
    const TITLE: &'static str = "Get the performance status";
    const DESCRIPTION: &'static str = "Say how this server does: a grade with its reason, alerts, how long calls take, how often caches have the answer, what it depends on and does not work. Use it when calls are slow or fail.";
    const EFFECT: Effect = Effect::Reads;
    const TIER: Tier = Tier::Fast;

    async fn call(&self, call: &Call, _arguments: Nothing) -> Result<Summary, ToolError> {
        Ok(self.monitor.status_for(&call.owner, call.scope).into())
    }
}
