//! `cache_warm`: reads ahead what is likely to be asked for.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Tool, ToolError};
use crate::{auth::Scope, call::Call, monitoring::Tier, ports::CacheControl};

/// Reads ahead what is likely to be asked for.
pub struct CacheWarm {
    caches: Vec<Arc<dyn CacheControl>>,
}

impl std::fmt::Debug for CacheWarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.caches.iter().map(|cache| cache.name());
        f.debug_list().entries(names).finish()
    }
}

impl CacheWarm {
    /// The tool for `caches`.
    #[must_use]
    pub fn new(caches: Vec<Arc<dyn CacheControl>>) -> Self {
        Self { caches }
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Warmed {
    /// The caches that can read ahead, and have.
    pub caches: Vec<WarmedCache>,
}

/// What one cache has read ahead.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WarmedCache {
    /// The cache.
    pub cache: &'static str,
    /// How much was read.
    pub loaded: u64,
}

impl Tool for CacheWarm {
    type Arguments = Nothing;
    type Output = Warmed;

    const NAME: &'static str = "cache_warm";
    const TITLE: &'static str = "Warm caches";
    const DESCRIPTION: &'static str = "Read ahead what was put last and what is read most, so that the next who asks need not wait. For whoever looks after the server.";
    const EFFECT: Effect = Effect::ChangesOnce;
    const TIER: Tier = Tier::Fast;
    const SCOPE: Option<Scope> = Some(Scope::Admin);

    async fn call(&self, _call: &Call, _arguments: Nothing) -> Result<Warmed, ToolError> {
        let mut caches = Vec::new();
        for cache in &self.caches {
            if let Some(loaded) = cache.warm().await? {
                let cache = cache.name();
                caches.push(WarmedCache { cache, loaded });
            }
        }
        Ok(Warmed { caches })
    }
}
