//! Where what the monitor measures goes.

use std::{path::Path, sync::Arc};

use super::BuildError;
use crate::{
    adapters::HttpCourier,
    monitoring::{MonitoringConfig, ReportFolder, SqliteRollups},
    ports::{Courier, RollupStore},
};

/// Where the numbers of each minute are kept. A server without them does its work.
pub(super) fn rollups(dir: &Path, config: &MonitoringConfig) -> Option<Arc<dyn RollupStore>> {
    if !config.enabled {
        return None;
    }
    match SqliteRollups::open(dir) {
        Ok(store) => Some(Arc::new(store)),
        Err(error) => {
            tracing::warn!(%error, "the numbers of each minute are not kept");
            None
        }
    }
}

/// Where reports go, if there are any.
pub(super) fn reports(dir: &Path, config: &MonitoringConfig) -> Option<ReportFolder> {
    let wanted = config.enabled && config.reports.enabled;
    wanted.then(|| ReportFolder::new(dir, &config.reports))
}

/// Who tells somebody of alerts, if anybody is to be told.
pub(super) fn courier(config: &MonitoringConfig) -> Result<Option<Arc<dyn Courier>>, BuildError> {
    let courier = HttpCourier::new(&config.alerts.webhook).map_err(BuildError::Webhook)?;
    Ok(courier.map(|courier| Arc::new(courier) as Arc<dyn Courier>))
}
