//! The classes of a configuration, parsed.

use crate::{
    ClassConfig, Config, FOREVER_MS,
    adaptive::{Learner, Observation},
    freshness::{Rules, Spans, to_ms},
    sync::{Mutex, lock},
};
use std::{collections::HashMap, time::Duration};

/// A class of a cache's configuration, by
/// [`Cache::class`](crate::Cache::class); good for that cache only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Class(u16);

impl Class {
    /// [`Config::default_class`](crate::Config::default_class).
    pub const DEFAULT: Self = Self(0);
}

#[derive(Debug)]
pub(crate) struct ClassRules {
    pub(crate) rules: Rules,
    pub(crate) soft: Option<Duration>,
    pub(crate) hard: Option<Duration>,
    /// 0: errors are not kept.
    pub(crate) error_ttl_ms: u32,
    pub(crate) keeps_invalidated: bool,
    learner: Option<Mutex<Learner>>,
}

#[derive(Debug)]
pub(crate) struct Classes {
    list: Box<[ClassRules]>,
    names: HashMap<String, Class>,
}

impl Classes {
    pub(crate) fn new(config: &Config) -> Self {
        let configs = [&config.default_class].into_iter();
        let named = config.classes.keys().zip(1u16..);
        Self {
            list: configs
                .chain(config.classes.values())
                .map(ClassRules::new)
                .collect(),
            names: named
                .map(|(name, index)| (name.clone(), Class(index)))
                .collect(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Class> {
        self.names.get(name).copied()
    }

    /// One of another cache is the default one.
    #[inline]
    pub(crate) fn rules(&self, class: Class) -> &ClassRules {
        self.list.get(usize::from(class.0)).unwrap_or(&self.list[0])
    }

    pub(crate) fn keep_errors(&self) -> bool {
        self.list.iter().any(|class| class.error_ttl_ms > 0)
    }
}

impl ClassRules {
    fn new(config: &ClassConfig) -> Self {
        let learner = |adaptive| Learner::new(adaptive, config.ttl.unwrap_or_default());
        Self {
            rules: config.rules(),
            soft: config.soft_deadline,
            hard: config.hard_deadline,
            error_ttl_ms: to_ms(config.error_ttl),
            keeps_invalidated: config.invalidated_on_error,
            learner: config.adaptive.as_ref().map(learner).map(Mutex::new),
        }
    }

    /// How long a value is kept: by its own time to live, by what was learned of
    /// its key, or by the class.
    pub(crate) fn spans(&self, ttl: Option<Duration>, group: u64, seed: u64) -> Spans {
        let learned = || {
            self.learner
                .as_ref()
                .map(|learner| lock(learner).ttl(group))
        };
        self.rules.spans(ttl.or_else(learned), seed)
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.learner.is_some()
    }

    /// Learns from a value that replaces one of this age.
    pub(crate) fn observe(&self, group: u64, age_ms: u64, fresh_for_ms: u32, changed: bool) {
        let Some(learner) = &self.learner else { return };
        if fresh_for_ms == FOREVER_MS {
            return;
        }
        let gap_ms = age_ms.checked_sub(u64::from(fresh_for_ms));
        lock(learner).observe(
            group,
            Observation {
                held: Duration::from_millis(age_ms),
                gap: gap_ms.map(Duration::from_millis),
                changed,
            },
        );
    }
}
