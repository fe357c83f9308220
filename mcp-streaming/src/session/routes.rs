//! Which session has which id, whose it is, and which one was not used for
//! longest. Plain values.

use super::SessionId;
use lru::LruCache;
use std::{collections::HashMap, sync::Arc};

/// How many sessions in use are passed by in search of one that may go. Each
/// search begins where the last one ended.
const LOOKS_MAX: usize = 64;

pub(super) struct Routes<V> {
    all: LruCache<SessionId, V>,
    owners: HashMap<Arc<str>, Vec<SessionId>>,
}

/// What knows whose it is.
pub(super) trait Owned {
    fn owner(&self) -> &Arc<str>;
}

impl<V: Owned> Routes<V> {
    pub(super) fn new() -> Self {
        Self {
            all: LruCache::unbounded(),
            owners: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The owner's name, shared if it is known already.
    pub(super) fn owner(&self, owner: &str) -> Arc<str> {
        let known = self.owners.get_key_value(owner);
        known.map_or_else(|| owner.into(), |(owner, _)| Arc::clone(owner))
    }

    pub(super) fn insert(&mut self, id: SessionId, value: V) {
        let owner = Arc::clone(value.owner());
        let ids = self.owners.entry(owner).or_default();
        grow(ids);
        ids.push(id);
        self.all.put(id, value);
    }

    /// The session, if it is the owner's; it counts as used now.
    pub(super) fn get(&mut self, owner: &str, id: &SessionId) -> Option<&V> {
        if &**self.all.peek(id)?.owner() != owner {
            return None;
        }
        self.all.get(id)
    }

    pub(super) fn remove(&mut self, id: &SessionId) -> Option<V> {
        let value = self.all.pop(id)?;
        let owner = value.owner();
        if let Some(ids) = self.owners.get_mut(owner) {
            if let Some(index) = ids.iter().position(|other| other == id) {
                ids.swap_remove(index);
            }
            if ids.is_empty() {
                self.owners.remove(owner);
            }
        }
        self.shrink();
        Some(value)
    }

    /// The session that was not found for longest among those that may go. One
    /// that may not is used in other ways, and counts as used now. Looks at a few
    /// only.
    pub(super) fn oldest(&mut self, may_go: impl Fn(&V) -> bool) -> Option<SessionId> {
        for _ in 0..self.all.len().min(LOOKS_MAX) {
            let (id, value) = self.all.peek_lru()?;
            let id = *id;
            if may_go(value) {
                return Some(id);
            }
            self.all.promote(&id);
        }
        None
    }

    /// How many sessions the owner has.
    pub(super) fn len_of(&self, owner: &str) -> usize {
        self.owners.get(owner).map_or(0, Vec::len)
    }

    /// The owner's session with the smallest `rank` among those that have one.
    pub(super) fn oldest_of<R: Ord>(
        &self,
        owner: &str,
        rank: impl Fn(&V) -> Option<R>,
    ) -> Option<SessionId> {
        let ids = self.owners.get(owner)?.iter();
        let ranked = ids.filter_map(|id| Some((rank(self.all.peek(id)?)?, *id)));
        ranked.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, id)| id)
    }

    pub(super) fn drain(&mut self) -> Vec<V> {
        self.owners = HashMap::new();
        let all = std::mem::replace(&mut self.all, LruCache::unbounded());
        all.into_iter().map(|(_, value)| value).collect()
    }

    /// After a crowd has gone, its memory goes too.
    fn shrink(&mut self) {
        if self.owners.len() < self.owners.capacity() / 4 {
            self.owners.shrink_to_fit();
        }
        if self.all.is_empty() {
            self.all = LruCache::unbounded();
        }
    }
}

/// Makes room by a quarter at a time: many owners have one session only, and one
/// that has all of them would have room for as many more.
fn grow(ids: &mut Vec<SessionId>) {
    if ids.len() == ids.capacity() {
        ids.reserve_exact((ids.len() / 4).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of(Arc<str>, u64);

    impl Owned for Of {
        fn owner(&self) -> &Arc<str> {
            &self.0
        }
    }

    fn of(routes: &Routes<Of>, owner: &str, used: u64) -> Of {
        Of(routes.owner(owner), used)
    }

    fn ids<const N: usize>() -> [SessionId; N] {
        std::array::from_fn(|_| SessionId::random().expect("randomness"))
    }

    #[test]
    fn only_the_owner_finds_a_session() {
        let (mut routes, [a, b]) = (Routes::new(), ids());
        routes.insert(a, of(&routes, "ann", 1));
        routes.insert(b, of(&routes, "bob", 2));
        assert_eq!(routes.get("ann", &a).map(|of| of.1), Some(1));
        assert!(routes.get("bob", &a).is_none());
        assert!(routes.get("ann", &b).is_none());
        assert_eq!(routes.remove(&a).map(|of| of.1), Some(1));
        assert!(routes.remove(&a).is_none());
        assert_eq!(routes.len_of("ann"), 0);
        assert_eq!((routes.len(), routes.owners.len()), (1, 1));
    }

    #[test]
    fn what_was_not_used_for_longest_is_known() {
        let (mut routes, [a, b, c]) = (Routes::new(), ids());
        for (id, used) in [(a, 5u64), (b, 4), (c, 6)] {
            routes.insert(id, of(&routes, "ann", used));
        }
        assert_eq!(routes.oldest(|_| true), Some(a));
        routes.get("ann", &a);
        assert_eq!(routes.oldest(|_| true), Some(b));
        assert_eq!(routes.oldest(|of| of.1 > 4), Some(c));
        assert_eq!(routes.oldest(|_| true), Some(c), "b counts as used now");
        assert_eq!(routes.oldest(|_| false), None);
        assert_eq!(routes.oldest_of("ann", |of| Some(of.1)), Some(b));
        let rank = |of: &Of| (of.1 > 4).then_some(of.1);
        assert_eq!(routes.oldest_of("ann", rank), Some(a));
        assert_eq!(routes.drain().len(), 3);
        assert_eq!(routes.oldest(|_| true), None);
    }
}
