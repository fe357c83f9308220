//! `cache_stats`: says what the caches have brought.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Tool, ToolError};
use crate::{
    auth::Scope,
    call::Call,
    monitoring::{CacheStatus, Monitor, Tier},
};

/// Says what the caches have brought.
#[derive(Debug)]
pub struct CacheStats {
    monitor: Monitor,
}

impl CacheStats {
    /// The tool that asks `monitor`.
    #[must_use]
    pub fn new(monitor: Monitor) -> Self {
        Self { monitor }
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// All caches.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Caches {
    /// One after the other.
    pub caches: Vec<CacheStatus>,
}

impl Tool for CacheStats {
    type Arguments = Nothing;
    type Output = Caches;

    const NAME: &'static str = "cache_stats";
    const TITLE: &'static str = "Get the statistics of the caches";
    const DESCRIPTION: &'static str = "Say of each cache how often it had the answer, what it holds, and what it gave up. For whoever looks after the server.";
    const EFFECT: Effect = Effect::Reads;
    const TIER: Tier = Tier::Fast;
    const SCOPE: Option<Scope> = Some(Scope::Admin);

    async fn call(&self, _call: &Call, _arguments: Nothing) -> Result<Caches, ToolError> {
        let caches = self.monitor.caches();
        Ok(Caches { caches })
    }
}
