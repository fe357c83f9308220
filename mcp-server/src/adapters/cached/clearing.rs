//! What an operator has the cache forget.

use super::{
    CachedStore,
    follower::{EVERY_MEMORY, tag_of},
};
use crate::ports::{Clear, ClearableCache};

impl ClearableCache for CachedStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn clear(&self, what: &Clear) -> bool {
        match what {
            Clear::All(_) => self.cache.clear(),
            Clear::Tag(tag) => self.cache.invalidate_by_tags(&[tag]),
            // Whoever owns the memory.
            Clear::Key(id) => self.cache.invalidate_by_tags(&[&tag_of(id)]),
            Clear::Pattern(pattern) => self.cache.invalidate_pattern(pattern),
            Clear::Namespace(name) => {
                // The searches of that namespace, and all memories, whose keys do not say where
                // they are.
                let (len, name) = (name.len(), escaped(name));
                self.cache.invalidate_pattern(&format!("s/*/{len}:{name}*"));
                self.cache.invalidate_by_tags(&[EVERY_MEMORY]);
            }
        }
        true
    }
}

/// A name as a pattern that only it matches.
fn escaped(name: &str) -> String {
    let letter = |letter| match letter {
        '*' | '?' | '\\' => format!("\\{letter}"),
        letter => letter.to_string(),
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_only_itself() {
        assert_eq!(escaped("notes"), "notes");
        assert_eq!(escaped("a*b?c\\"), "a\\*b\\?c\\\\");
    }
}
