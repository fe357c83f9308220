//! When something is worth an alert.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When something is worth an alert. What is exactly at a threshold is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// How often it is looked. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// A tool with fewer calls in the window is not judged. Default 20. Fewer see more, and take a
    /// hiccup for a trend.
    pub samples_min: u64,
    /// The average of a tool from which on there is a warning. Default 150 ms.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub latency_warning: Duration,
    /// The average of a tool from which on it is critical. Default 200 ms.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub latency_critical: Duration,
    /// What 95 of 100 calls of a tool must not take. Default 50 ms.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub latency_p95: Duration,
    /// The share of failed calls of a tool from which on there is a warning. Default 0.05.
    pub errors_warning: f64,
    /// The share of failed calls of a tool from which on it is critical. Default 0.1.
    pub errors_critical: f64,
    /// The share of a pool that is lent from which on there is a warning; it is critical where all
    /// of it is and callers wait. Default 0.9.
    pub pool_share: f64,
    /// The share of the bytes for streams from which on there is a warning. It is critical at half
    /// of what is then left. Default 0.9.
    pub stream_share: f64,
    /// Memory of the process from which on there is a warning, in bytes; it is critical at twice as
    /// much. Default 1 GiB; 0 for never.
    pub memory_bytes: u64,
    /// Alerts that have come and gone which are kept. Default 256, about 300 bytes each.
    pub history_max: NonZeroUsize,
    /// Who is told besides.
    pub webhook: WebhookConfig,
}

/// Who is told of alerts by a POST with JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address, with http:// or https://; none by default.
    pub url: Option<String>,
    /// Whether that may be an address of this machine or of a local network. Default false.
    pub allow_private_address: bool,
    /// How long one attempt may take; there are three. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// News that wait to be told; one more takes the place of the oldest. Default 64.
    pub queue_len_max: NonZeroUsize,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            samples_min: 20,
            latency_warning: Duration::from_millis(150),
            latency_critical: Duration::from_millis(200),
            latency_p95: Duration::from_millis(50),
            errors_warning: 0.05,
            errors_critical: 0.1,
            pool_share: 0.9,
            stream_share: 0.9,
            memory_bytes: 1 << 30,
            history_max: NonZeroUsize::new(256).expect("256 is not zero"),
            webhook: WebhookConfig::default(),
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: None,
            allow_private_address: false,
            timeout: Duration::from_secs(5),
            queue_len_max: NonZeroUsize::new(64).expect("64 is not zero"),
        }
    }
}

impl AlertsConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        const LEAST: Duration = Duration::from_millis(10);
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        if self.interval < LEAST {
            return Err(("monitoring.alerts.interval", "must be at least 10ms"));
        }
        if self.latency_warning > self.latency_critical {
            return Err((
                "monitoring.alerts.latency_warning",
                "must not be longer than latency_critical",
            ));
        }
        if !is_share(self.errors_warning) || !is_share(self.errors_critical) {
            return Err((
                "monitoring.alerts.errors_warning",
                "and errors_critical must be above 0 and at most 1",
            ));
        }
        if self.errors_warning > self.errors_critical {
            return Err((
                "monitoring.alerts.errors_warning",
                "must not be above errors_critical",
            ));
        }
        if !is_share(self.pool_share) || !is_share(self.stream_share) {
            return Err((
                "monitoring.alerts.pool_share",
                "and stream_share must be above 0 and at most 1",
            ));
        }
        let webhook = &self.webhook;
        let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if webhook.url.as_ref().is_some_and(|url| !is_web(url)) {
            return Err((
                "monitoring.alerts.webhook.url",
                "must begin with http:// or https://",
            ));
        }
        if webhook.timeout < LEAST {
            return Err(("monitoring.alerts.webhook.timeout", "must be at least 10ms"));
        }
        Ok(())
    }
}
