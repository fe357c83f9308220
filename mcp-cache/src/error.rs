//! Why a configuration was refused.

use thiserror::Error;

/// A configuration that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// The field's path, such as `adaptive.ttl_max`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, reason })
    }
}
