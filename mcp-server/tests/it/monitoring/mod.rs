//! What the server knows of itself, told by a server that runs.

mod alerts;
mod metrics;
mod status;
mod tools;
mod traces;

use std::time::Duration;

use mcp_server::monitoring::MonitoringConfig;

/// The settings of a server that judges in moments what others judge in a minute.
fn quick() -> MonitoringConfig {
    let mut config = MonitoringConfig {
        window: Duration::from_secs(3),
        ..MonitoringConfig::default()
    };
    config.alerts.interval = Duration::from_millis(50);
    config
}
