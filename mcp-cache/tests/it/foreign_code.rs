//! A key's or a value's own code panics under a lock.

use mcp_cache::{Cache, Config, Weigh};
use std::{
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

static ARMED: AtomicBool = AtomicBool::new(false);

fn fire() {
    assert!(!ARMED.load(Ordering::Relaxed), "on purpose");
}

#[derive(Debug, PartialEq)]
struct Value(u64);

impl Clone for Value {
    fn clone(&self) -> Self {
        fire();
        Self(self.0)
    }
}

#[derive(Debug, Clone, Eq)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        fire();
        self.0 == other.0
    }
}

impl Weigh for Value {
    fn heap_bytes(&self) -> u64 {
        0
    }
}

impl Weigh for Key {
    fn heap_bytes(&self) -> u64 {
        0
    }
}

/// The panic is its caller's; the next one finds all as it was.
#[test]
fn a_panic_under_a_lock_leaves_the_cache_whole() {
    let cache: Cache<Key, Value> = Cache::new(&Config::default()).expect("valid");
    cache.insert(Key(1), Value(7), ["t"]);
    let calls: [fn(&Cache<Key, Value>); 3] = [
        |cache| _ = cache.try_get(&Key(1)),
        |cache| _ = cache.invalidate(&Key(1)),
        |cache| _ = cache.put_since(cache.ticket(), Key(1), Value(8)),
    ];
    for call in calls {
        ARMED.store(true, Ordering::Relaxed);
        let caught = catch_unwind(AssertUnwindSafe(|| call(&cache)));
        ARMED.store(false, Ordering::Relaxed);
        assert!(caught.is_err());
        assert_eq!(cache.try_get(&Key(1)), Some(Value(7)));
        assert_eq!(cache.stats().entries, 1);
    }
    assert!(cache.invalidate(&Key(1)));
    assert_eq!(cache.try_get(&Key(1)), None);
}
