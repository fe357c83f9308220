//! Logs, and what took too long. Logs go to standard error: standard output belongs to the stdio
//! transport.

mod slow;

use std::{fmt, io::IsTerminal};

use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt as log,
    util::{SubscriberInitExt, TryInitError},
};

pub use slow::{SlowOperation, SlowOperations, SlowOperationsConfig};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the setting `log.filter` is not a log filter: {0}; try `info` or `info,mcp_server=debug`")]
pub struct TelemetryError(#[from] ParseError);

/// The log of this process, whose filter can be exchanged.
pub struct Log {
    exchange: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Logs by the filter of `config` from now on; the format stays.
    ///
    /// # Errors
    ///
    /// [`TelemetryError`] when the filter cannot be parsed; the old one stays.
    pub fn reload(&self, config: &LogConfig) -> Result<(), TelemetryError> {
        (self.exchange)(filter(config)?);
        Ok(())
    }
}

/// Checks the settings of the log.
///
/// # Errors
///
/// [`TelemetryError`] when the filter cannot be parsed.
pub fn check(config: &LogConfig) -> Result<(), TelemetryError> {
    filter(config)?;
    Ok(())
}

/// Starts logging for the whole process. A second call in one process changes nothing.
///
/// # Errors
///
/// [`TelemetryError`] when the filter cannot be parsed.
pub fn init(config: &LogConfig) -> Result<Log, TelemetryError> {
    let builder = log()
        .with_env_filter(filter(config)?)
        .with_writer(std::io::stderr)
        // It would report to standard error that standard error is gone, and panic.
        .log_internal_errors(false);
    Ok(match config.format {
        LogFormat::Text => {
            let builder = builder
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                // Last: what comes before makes the type that it is about.
                .with_filter_reloading();
            let handle = builder.reload_handle();
            started(builder.finish().try_init());
            Log {
                exchange: Box::new(move |filter| exchanged(handle.reload(filter))),
            }
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            started(builder.finish().try_init());
            Log {
                exchange: Box::new(move |filter| exchanged(handle.reload(filter))),
            }
        }
    })
}

fn filter(config: &LogConfig) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(&config.filter)
}

fn started(started: Result<(), TryInitError>) {
    if let Err(error) = started {
        tracing::debug!(%error, "logging was set up before");
    }
}

fn exchanged(exchanged: Result<(), tracing_subscriber::reload::Error>) {
    if let Err(error) = exchanged {
        tracing::error!(%error, "the log filter could not be exchanged");
    }
}
