//! What an operator has the caches of connectors forget.

use super::UpstreamCaches;
use crate::ports::{Clear, ClearableCache};

impl ClearableCache for UpstreamCaches {
    fn name(&self) -> &'static str {
        "connector_results"
    }

    /// Lists of tools stay: they are asked for anew by `connector_refresh`.
    fn clear(&self, what: &Clear) -> bool {
        match what {
            Clear::All(_) => self.results.clear(),
            Clear::Tag(tag) => self.results.invalidate_by_tags(&[tag]),
            Clear::Key(key) => {
                self.results.invalidate(key);
            }
            Clear::Pattern(pattern) => self.results.invalidate_pattern(pattern),
            Clear::Namespace(_) => return false,
        }
        true
    }
}
