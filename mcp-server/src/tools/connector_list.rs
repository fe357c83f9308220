//! `connector_list`: says how the connectors to other servers do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    monitoring::Tier,
    upstream::{Gateway, MapStatus, Status},
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
    /// The signed list that some of them are from, if the settings name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_map: Option<MapStatus>,
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
        let (connectors, service_map) = (self.gateway.statuses(), self.gateway.map_status());
        Ok(Connectors {
            connectors,
            service_map,
        })
    }
}
