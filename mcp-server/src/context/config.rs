//! How contexts are kept and served.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContextClass, ContextLimits};
use crate::config::ConfigError;

/// The longest that a copy may be used, and between two rounds of warming: 30 days.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most contexts of one kind that are warmed.
const WARMED_MAX: u32 = 10_000;

/// Contexts and their manager.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextsConfig {
    /// Which manager serves contexts. Default `optimised`; `--safe-mode` means `standard`.
    pub manager: ManagerKind,
    /// What callers may send.
    pub limits: ContextLimits,
    /// The copies in memory of the optimised manager.
    pub cache: ContextCacheConfig,
    /// What the optimised manager reads before it is asked.
    pub warming: WarmingConfig,
}

/// Which manager serves contexts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagerKind {
    /// With copies in memory, which every write goes through.
    #[default]
    Optimised,
    /// Straight to the store.
    Standard,
}

/// The copies in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextCacheConfig {
    /// The most copies. Default 10,000.
    pub entries_max: NonZeroU64,
    /// The most bytes of copies. Default 64 MiB.
    pub bytes_max: NonZeroU64,
    /// How long a copy is used before the store is asked again, by class. A change is seen at once,
    /// whichever process makes it, so this is no bound on staleness; it bounds how long an unused
    /// copy is kept.
    pub ttl: ContextTtls,
}

/// A span for each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextTtls {
    /// For rules. Default 2 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub rules: Duration,
    /// For sessions. Default 30 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub session: Duration,
    /// For analytics. Default 1 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub analytics: Duration,
    /// For results. Default 15 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub result: Duration,
    /// For the rest. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub other: Duration,
}

/// What is read before it is asked for, at the start and from then on in rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WarmingConfig {
    /// The contexts put last. Default 100; 0 for none.
    pub recent: u32,
    /// The contexts read most often, as counted in the store. Default 50; 0 for none.
    pub popular: u32,
    /// Time between two rounds. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// Contexts read at once, so that callers find a free reader. Default 1.
    pub loads_max: NonZeroU32,
}

impl Default for ContextCacheConfig {
    fn default() -> Self {
        Self {
            entries_max: NonZeroU64::new(10_000).expect("10,000 is not zero"),
            bytes_max: NonZeroU64::new(64 * 1024 * 1024).expect("64 MiB is not zero"),
            ttl: ContextTtls::default(),
        }
    }
}

impl Default for ContextTtls {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            rules: minutes(120),
            session: minutes(30),
            analytics: minutes(60),
            result: minutes(15),
            other: minutes(5),
        }
    }
}

impl ContextTtls {
    /// The span of `class`.
    #[must_use]
    pub fn of(&self, class: ContextClass) -> Duration {
        match class {
            ContextClass::Rules => self.rules,
            ContextClass::Session => self.session,
            ContextClass::Analytics => self.analytics,
            ContextClass::Result => self.result,
            ContextClass::Other => self.other,
        }
    }
}

impl Default for WarmingConfig {
    fn default() -> Self {
        Self {
            recent: 100,
            popular: 50,
            interval: Duration::from_secs(300),
            loads_max: NonZeroU32::MIN,
        }
    }
}

impl ContextsConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        if limits.content_bytes_max == 0 {
            return Err(ConfigError::invalid(
                "contexts.limits.content_bytes_max",
                "must not be 0: nothing could be stored",
            ));
        }
        if limits.budget_tokens_default == 0
            || limits.budget_tokens_default > limits.budget_tokens_max
        {
            return Err(ConfigError::invalid(
                "contexts.limits.budget_tokens_default",
                "must be from 1 to contexts.limits.budget_tokens_max",
            ));
        }
        let is_span = |span: &Duration| (Duration::from_millis(1)..=SPAN_MAX).contains(span);
        let ttl = &self.cache.ttl;
        for (field, span) in [
            ("contexts.cache.ttl.rules", ttl.rules),
            ("contexts.cache.ttl.session", ttl.session),
            ("contexts.cache.ttl.analytics", ttl.analytics),
            ("contexts.cache.ttl.result", ttl.result),
            ("contexts.cache.ttl.other", ttl.other),
        ] {
            if !is_span(&span) {
                return Err(ConfigError::invalid(field, "must be from 1ms to 30 days"));
            }
        }
        if !is_span(&self.warming.interval) {
            return Err(ConfigError::invalid(
                "contexts.warming.interval",
                "must be from 1ms to 30 days; set recent and popular to 0 for no warming",
            ));
        }
        if self.warming.recent > WARMED_MAX || self.warming.popular > WARMED_MAX {
            return Err(ConfigError::invalid(
                "contexts.warming",
                "recent and popular must be at most 10000",
            ));
        }
        Ok(())
    }
}
