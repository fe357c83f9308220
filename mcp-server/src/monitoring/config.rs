//! Whether and how the server watches itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlertsConfig, ReportsConfig};

/// Whether and how the server watches itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MonitoringConfig {
    /// Whether calls are counted, and what is counted is looked at. Default true. A call costs less
    /// than a microsecond more for it.
    pub enabled: bool,
    /// What the shortest window covers, which alerts are made of. Default 1 min. Shorter ones see
    /// more, and take a hiccup for a trend.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// When something is worth an alert.
    pub alerts: AlertsConfig,
    /// For how many days the numbers of each minute are kept. Default 30, about 5 MiB on disk.
    pub keep_days: u16,
    /// When reports are written.
    pub reports: ReportsConfig,
    /// Whether there are tools for whoever looks after the server: `cache_stats`, `cache_clear` and
    /// `cache_warm`, which take the scope `admin`. Default false.
    pub admin_tools: bool,
}

impl Default for MonitoringConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(60),
            alerts: AlertsConfig::default(),
            keep_days: 30,
            reports: ReportsConfig::default(),
            admin_tools: false,
        }
    }
}

impl MonitoringConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if self.window < Duration::from_millis(120) || self.window > Duration::from_secs(3_600) {
            return Err(("monitoring.window", "must be from 120ms to 1h"));
        }
        if self.keep_days == 0 {
            return Err(("monitoring.keep_days", "must not be 0"));
        }
        if self.reports.interval < Duration::from_secs(60) {
            return Err(("monitoring.reports.interval", "must be at least 1m"));
        }
        self.alerts.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(MonitoringConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut MonitoringConfig), names: &str| {
            let mut config = MonitoringConfig::default();
            change(&mut config);
            let (field, _) = config.validate().unwrap_err();
            assert_eq!(field, names);
        };
        check(|c| c.window = Duration::from_millis(1), "monitoring.window");
        check(
            |c| c.alerts.interval = Duration::ZERO,
            "monitoring.alerts.interval",
        );
        check(
            |c| c.alerts.latency_warning = Duration::from_secs(9),
            "monitoring.alerts.latency_warning",
        );
        check(
            |c| c.alerts.errors_warning = 0.5,
            "monitoring.alerts.errors_warning",
        );
        check(
            |c| c.alerts.errors_critical = 1.5,
            "monitoring.alerts.errors_warning",
        );
        check(
            |c| c.alerts.pool_share = 0.0,
            "monitoring.alerts.pool_share",
        );
        check(
            |c| c.alerts.webhook.url = Some("ftp://example.com".to_owned()),
            "monitoring.alerts.webhook.url",
        );
    }
}
