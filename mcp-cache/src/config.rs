//! What a cache can be told, and the check that it makes sense.

use crate::{
    ClassConfig, ClockKind, SPAN_MAX,
    error::{ConfigError, check},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

/// The most classes, the default one not counted.
pub const CLASSES_MAX: usize = 1_024;

/// Everything a [`Cache`](crate::Cache) can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of keys, values and overhead; `None` is no bound. A value above half of
    /// them is not kept. Default 256 MiB.
    pub bytes_max: Option<NonZeroU64>,
    /// Entries; `None` (the default) is no bound.
    pub entries_max: Option<NonZeroU64>,
    /// How values are kept that name no class.
    pub default_class: ClassConfig,
    /// How values are kept that name one, by its name. Default: none.
    pub classes: BTreeMap<String, ClassConfig>,
    /// How often a part of the entries is looked through for dead ones, which
    /// cost memory and nothing else; `None` leaves them to eviction and use.
    /// Default `1s`. A whole round takes about a hundred of these.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub sweep_interval: Option<Duration>,
    /// Loads in the background at once; further ones are not started. Default 64.
    pub background_max: usize,
    /// Errors that are kept for their [`error_ttl`](ClassConfig::error_ttl).
    /// Default 1,024; read only if a class has one.
    pub errors_max: usize,
    /// Tags of which statistics are kept by name; further ones are counted
    /// together. Default 0: none.
    pub tag_stats_max: usize,
    /// Whether every call goes past the cache, until
    /// [`set_bypass`](crate::Cache::set_bypass) says otherwise. Default false.
    pub bypass: bool,
    /// Which clock is read. Default: the precise one.
    pub clock: ClockKind,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: NonZeroU64::new(256 << 20),
            entries_max: None,
            default_class: ClassConfig::default(),
            classes: BTreeMap::new(),
            sweep_interval: Some(Duration::from_secs(1)),
            background_max: 64,
            errors_max: 1_024,
            tag_stats_max: 0,
            bypass: false,
            clock: ClockKind::default(),
        }
    }
}

impl Config {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.default_class.validate()?;
        check(
            self.classes.len() <= CLASSES_MAX,
            "classes",
            "must be at most 1024",
        )?;
        self.classes.values().try_for_each(ClassConfig::validate)?;
        if let Some(interval) = self.sweep_interval {
            check(
                (Duration::from_millis(1)..=SPAN_MAX).contains(&interval),
                "sweep_interval",
                "must be from 1ms to 30 days",
            )?;
        }
        let counts = [
            (self.background_max, "background_max"),
            (self.errors_max, "errors_max"),
        ];
        for (count, field) in counts {
            check(
                (1..=1 << 20).contains(&count),
                field,
                "must be from 1 to 1048576",
            )?;
        }
        check(
            self.tag_stats_max <= 1 << 20,
            "tag_stats_max",
            "must be at most 1048576",
        )
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        let mut classes = self.classes.values().chain([&self.default_class]);
        classes.any(|class| class.adaptive.is_some())
    }
}
