//! `connector_list`: says how the connectors to other servers do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    monitoring::Tier,
    upstream::{Gateway, Status},
};

/// Says how all connectors do.
#[derive(Debug)]
pub struct ConnectorList {
    gateway: Gateway,
}

impl ConnectorList {
    /// The tool for the connectors of `gateway`.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// All connectors.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Connectors {
    /// One after the other, by name.
    pub connectors: Vec<Status>,
}

impl Tool for ConnectorList {
    type Arguments = Nothing;
    type Output = Connectors;

    const NAME: &'static str = "connector_list";
    const TITLE: &'static str = "List connectors";
    const DESCRIPTION: &'static str = "List the connectors to other MCP servers: whether each answers, how many tools it offers here, how old its list of tools is, and what went wrong last.";
    const EFFECT: Effect = Effect::Reads;
    const TIER: Tier = Tier::Fast;

    async fn call(&self, _call: &Call, _arguments: Nothing) -> Result<Connectors, ToolError> {
        let connectors = self.gateway.statuses();
        Ok(Connectors { connectors })
    }
}
