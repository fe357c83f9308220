//! What is logged, and how. Logs go to standard error, always.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives such as
    /// `info,mcp_server=debug`. Default `warn,mcp_server=info,rmcp::service=error` (rmcp warns of
    /// every error answer, which is the caller's affair). Reloadable.
    pub filter: String,
    /// How a line looks. Default `text`.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "warn,mcp_server=info,rmcp::service=error".to_owned(),
            format: LogFormat::Text,
        }
    }
}
