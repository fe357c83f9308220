//! Where everything is kept.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use super::BuildError;
use crate::config::Config;

/// The folder inside the platform's folder for application data.
const DATA_DIR_NAME: &str = "mcp-server";

/// The folder that holds everything; it need not be there.
///
/// # Errors
///
/// [`BuildError::NoDataDir`], when none is set and the platform names none.
pub fn data_dir(config: &Config) -> Result<PathBuf, BuildError> {
    if let Some(dir) = &config.memory.data_dir {
        return Ok(dir.clone());
    }
    let platform = etcetera::choose_base_strategy().map_err(|_| BuildError::NoDataDir)?;
    Ok(platform.data_dir().join(DATA_DIR_NAME))
}
