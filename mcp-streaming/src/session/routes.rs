//! Which session has which id, whose it is, and which one was not used for
//! longest. Plain values.

use super::SessionId;
use lru::LruCache;
use std::{collections::HashMap, sync::Arc};

/// How many sessions in use are passed by in search of one that may go. Each
/// search begins where the last one ended.
const LOOKS_MAX: usize = 64;

pub(super) struct Routes<V> {
    all: LruCache<SessionId, Route<V>>,
    owners: HashMap<Arc<str>, Vec<SessionId>>,
}

struct Route<V> {
    owner: Arc<str>,
    value: V,
}

impl<V> Routes<V> {
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

    pub(super) fn insert(&mut self, id: SessionId, owner: Arc<str>, value: V) {
        self.owners.entry(Arc::clone(&owner)).or_default().push(id);
        self.all.put(id, Route { owner, value });
    }

    /// The session, if it is the owner's; it counts as used now.
    pub(super) fn get(&mut self, owner: &str, id: &SessionId) -> Option<&V> {
        if &*self.all.peek(id)?.owner != owner {
            return None;
        }
        self.all.get(id).map(|route| &route.value)
    }

    pub(super) fn remove(&mut self, id: &SessionId) -> Option<V> {
        let route = self.all.pop(id)?;
        if let Some(ids) = self.owners.get_mut(&route.owner) {
            if let Some(index) = ids.iter().position(|other| other == id) {
                ids.swap_remove(index);
            }
            if ids.is_empty() {
                self.owners.remove(&route.owner);
            }
        }
        self.shrink();
        Some(route.value)
    }

    /// The session that was not found for longest among those that may go. One
    /// that may not is used in other ways, and counts as used now. Looks at a few
    /// only.
    pub(super) fn oldest(&mut self, may_go: impl Fn(&V) -> bool) -> Option<SessionId> {
        for _ in 0..self.all.len().min(LOOKS_MAX) {
            let (id, route) = self.all.peek_lru()?;
            let id = *id;
            if may_go(&route.value) {
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
        let ranked = ids.filter_map(|id| Some((rank(&self.all.peek(id)?.value)?, *id)));
        ranked.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, id)| id)
    }

    pub(super) fn drain(&mut self) -> Vec<V> {
        self.owners = HashMap::new();
        let all = std::mem::replace(&mut self.all, LruCache::unbounded());
        all.into_iter().map(|(_, route)| route.value).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>() -> [SessionId; N] {
        std::array::from_fn(|_| SessionId::random().expect("randomness"))
    }

    #[test]
    fn only_the_owner_finds_a_session() {
        let (mut routes, [a, b]) = (Routes::new(), ids());
        routes.insert(a, routes.owner("ann"), 1);
        routes.insert(b, routes.owner("bob"), 2);
        assert_eq!(routes.get("ann", &a), Some(&1));
        assert_eq!(routes.get("bob", &a), None);
        assert_eq!(routes.get("ann", &b), None);
        assert_eq!(routes.remove(&a), Some(1));
        assert_eq!(routes.remove(&a), None);
        assert_eq!(routes.len_of("ann"), 0);
        assert_eq!((routes.len(), routes.owners.len()), (1, 1));
    }

    #[test]
    fn what_was_not_used_for_longest_is_known() {
        let (mut routes, [a, b, c]) = (Routes::new(), ids());
        for (id, used) in [(a, 5u64), (b, 4), (c, 6)] {
            routes.insert(id, routes.owner("ann"), used);
        }
        assert_eq!(routes.oldest(|_| true), Some(a));
        routes.get("ann", &a);
        assert_eq!(routes.oldest(|_| true), Some(b));
        assert_eq!(routes.oldest(|used| *used > 4), Some(c));
        assert_eq!(routes.oldest(|_| true), Some(c), "b counts as used now");
        assert_eq!(routes.oldest(|_| false), None);
        assert_eq!(routes.oldest_of("ann", |used| Some(*used)), Some(b));
        let rank = |used: &u64| (*used > 4).then_some(*used);
        assert_eq!(routes.oldest_of("ann", rank), Some(a));
        assert_eq!(routes.drain().len(), 3);
        assert_eq!(routes.oldest(|_| true), None);
    }
}
