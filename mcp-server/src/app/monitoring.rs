//! Where what the monitor measures goes.

use std::{path::Path, sync::Arc};

use super::BuildError;
use crate::{
    adapters::HttpCourier,
    monitoring::{MonitoringConfig, ReportFolder, SqliteRollups},
    ports::{Courier, RollupStore},
};

/// Where the numbers of each minute are kept.
pub(super) fn rollups(dir: &Path, config: &MonitoringConfig) -> Option<Arc<dyn RollupStore>> {
    config
        .enabled
        .then(|| Arc::new(SqliteRollups::new(dir)) as Arc<dyn RollupStore>)
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
