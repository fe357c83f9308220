//! Caches in the hands of whoever looks after the server.

use async_trait::async_trait;

use super::{CachedStore, OptimisedManager, UpstreamCaches};
use crate::{
    context::ContextError,
    ports::{CacheControl, Clear},
};

#[async_trait]
impl CacheControl for CachedStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn clear(&self, what: &Clear) -> bool {
        self.clear_cache(what);
        true
    }
}

#[async_trait]
impl CacheControl for OptimisedManager {
    fn name(&self) -> &'static str {
        "contexts"
    }

    fn clear(&self, what: &Clear) -> bool {
        self.clear_copies(what)
    }

    async fn warm(&self) -> Result<Option<u64>, ContextError> {
        self.warm_now().await.map(Some)
    }
}

#[async_trait]
impl CacheControl for UpstreamCaches {
    fn name(&self) -> &'static str {
        "connector_results"
    }

    fn clear(&self, what: &Clear) -> bool {
        let results = self.results();
        match what {
            Clear::All => results.clear(),
            Clear::Key { key, .. } => {
                results.invalidate(key);
            }
            Clear::Tag(tag) => results.invalidate_by_tags(&[tag]),
            Clear::Pattern(pattern) => results.invalidate_pattern(pattern),
            // Connectors know no namespaces.
            Clear::Namespace { .. } => return false,
        }
        true
    }
}
