//! What is forgotten because somebody says so. It is never needed to be right: what is kept is never
//! stale.

use super::{CachedStore, key};
use crate::ports::Clear;

impl CachedStore {
    /// Forgets.
    pub fn clear_cache(&self, what: &Clear) {
        match what {
            Clear::All => self.cache.clear(),
            Clear::Key { owner, key } => {
                let id = key.clone().into();
                self.cache.invalidate(&key::of_memory(owner, &id));
            }
            Clear::Tag(tag) => self.cache.invalidate_by_tags(&[tag]),
            Clear::Pattern(pattern) => self.cache.invalidate_pattern(pattern),
            Clear::Namespace { owner, namespace } => {
                let pattern = key::pattern_of_namespace(owner, namespace);
                self.cache.invalidate_pattern(&pattern);
            }
        }
    }
}
