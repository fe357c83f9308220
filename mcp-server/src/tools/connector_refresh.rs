//! `connector_refresh`: asks a connector for its tools now.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Effect, Tool, ToolError};
use crate::{
    call::{Call, Elsewhere},
    monitoring::Tier,
    upstream::{ConnectorName, Gateway, Status},
};

/// Asks a connector for its tools now.
#[derive(Debug)]
pub struct ConnectorRefresh {
    gateway: Gateway,
}

impl ConnectorRefresh {
    /// The tool for the connectors of `gateway`.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }
}

/// Which connector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The connector's name, as connector_list has it.
    pub name: String,
}

impl Tool for ConnectorRefresh {
    type Arguments = Refresh;
    type Output = Status;

    const NAME: &'static str = "connector_refresh";
    const TITLE: &'static str = "Refresh a connector";
    const DESCRIPTION: &'static str = "Ask a connector for its list of tools now, also when it had refused its credentials, and say how it does. Use it after something about the other server was mended or changed.";
    const EFFECT: Effect = Effect::ChangesOnce;
    const TIER: Tier = Tier::Gateway;

    async fn call(&self, call: &Call, arguments: Refresh) -> Result<Status, ToolError> {
        let name = arguments.name.parse::<ConnectorName>().ok();
        let _elsewhere = Elsewhere::begin(&call.notes);
        let refreshed = match &name {
            Some(name) => self.gateway.refresh(name).await,
            None => None,
        };
        refreshed.ok_or_else(|| ToolError::Arguments {
            reason: format!(
                "there is no connector `{}`: see connector_list",
                arguments.name
            ),
        })
    }
}
