//! Logs, and what took too long. Logs go to standard error: standard output belongs to the stdio
//! transport.

mod slow;

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

pub use slow::{SlowOperation, SlowOperations, SlowOperationsConfig};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the setting `log.filter` is not a log filter: {0}; try `info` or `info,mcp_server=debug`")]
pub struct TelemetryError(#[from] ParseError);

/// Starts logging for the whole process. A second call in one process changes nothing.
///
/// # Errors
///
/// [`TelemetryError`] when the filter cannot be parsed.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&config.filter)?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was set up before");
    }
    Ok(())
}
