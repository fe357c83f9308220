//! Why the parts could not be put together.

use crate::{
    adapters::StackError,
    auth::TokenFileError,
    memory::{postgres::PostgresError, sqlite::OpenError},
    upstream::{StoreError, UpstreamError},
};

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The platform names no folder for application data.
    #[error("this system names no folder for application data: choose one with --data-dir")]
    NoDataDir,
    /// The tokens could not be read.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The memory store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The memory store in a PostgreSQL database could not be opened.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A part was configured in a way that makes no sense.
    #[error("the setting `memory.circuit_breaker`: {0}")]
    Guard(#[from] mcp_breaker::ConfigError),
    /// A part was configured in a way that makes no sense.
    #[error("the setting `memory.batch`: {0}")]
    Batch(#[from] mcp_batch::ConfigError),
    /// The connectors could not be read.
    #[error(transparent)]
    Connectors(#[from] StoreError),
    /// What stands before upstreams was configured in a way that makes no sense.
    #[error("the section `connectors`: {0}")]
    Upstreams(#[from] StackError),
    /// Nobody can be told of alerts under the address in the settings.
    #[error("the setting `monitoring.alerts.webhook.url`: {0}")]
    Webhook(#[source] UpstreamError),
    /// A cache was configured in a way that makes no sense.
    #[error("the setting `{section}`: {source}")]
    Cache {
        /// The section of the settings.
        section: &'static str,
        /// What is wrong with it.
        source: mcp_cache::ConfigError,
    },
}
