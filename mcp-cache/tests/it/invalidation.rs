//! Every form of invalidation, on what is there.

use crate::support::{Texts, cache, key, ms, ten_seconds, with_class};
use mcp_cache::{Cache, CacheTags, Config, Inserted, Invalidated, Loaded, Observer, tag_operation};
use std::sync::{Arc, Mutex};

fn filled() -> Texts {
    let cache = with_class(ten_seconds());
    for n in 0..100u64 {
        let tags = [format!("mod2:{}", n % 2), format!("mod5:{}", n % 5)];
        let namespace = if n < 50 { "low" } else { "high" };
        let loaded = Loaded::new(n).tags(tags).namespace(namespace);
        assert_eq!(cache.put(format!("n/{n}"), loaded), Inserted::Stored);
    }
    cache
}

fn left(cache: &Texts) -> Vec<u64> {
    (0..100)
        .filter_map(|n| cache.try_get(&format!("n/{n}")))
        .collect()
}

fn check(cache: &Texts, stays: impl Fn(u64) -> bool) {
    let expect: Vec<_> = (0..100).filter(|n| stays(*n)).collect();
    assert_eq!(left(cache), expect);
}

#[tokio::test]
async fn test_tag_based_invalidation() {
    let cache = filled();
    cache.invalidate_by_tags(&["mod5:3"]);
    check(&cache, |n| n % 5 != 3);
    cache.invalidate_by_tags(&["mod2:0", "mod5:1"]);
    check(&cache, |n| n % 5 != 3 && n % 2 != 0 && n % 5 != 1);
    cache.invalidate_by_tags(&["unheard of", "mod2"]);
    cache.invalidate_by_tags(&[]);
    check(&cache, |n| n % 5 != 3 && n % 2 != 0 && n % 5 != 1);

    // What is put under the tag afterwards lives.
    cache.insert(key("n/3"), 3, ["mod5:3"]);
    assert_eq!(cache.try_get("n/3"), Some(3));

    // The tags of operations.
    cache.put(
        key("list of agents"),
        Loaded::new(1).tags(tag_operation("create_agent")),
    );
    cache.put(
        key("anything"),
        Loaded::new(2).tags(tag_operation("anything")),
    );
    let tags = tag_operation("create_agent");
    let names: Vec<_> = tags.iter().collect();
    cache.invalidate_by_tags(&names[1..]);
    assert_eq!(cache.try_get("list of agents"), None);
    assert_eq!(cache.try_get("anything"), Some(2));
    assert_eq!(tag_operation("anything"), CacheTags::NONE);
}

#[tokio::test]
async fn keys_patterns_namespaces_and_all() {
    let cache = filled();
    assert!(cache.invalidate("n/7"));
    assert!(!cache.invalidate("n/7"), "it is not there any more");
    check(&cache, |n| n != 7);
    cache.invalidate_pattern("n/?");
    check(&cache, |n| n >= 10);
    cache.invalidate_pattern("*5");
    check(&cache, |n| n >= 10 && n % 10 != 5);
    cache.invalidate_namespace("low");
    check(&cache, |n| n >= 50 && n % 10 != 5);
    cache.invalidate_by_tags(&["high"]);
    check(&cache, |n| n >= 50 && n % 10 != 5);
    cache.clear();
    check(&cache, |_| false);
}

/// Caches that share their epochs share their tags, and nothing else.
#[tokio::test]
async fn a_tag_reaches_every_cache_of_its_epochs() {
    let first = with_class(ten_seconds());
    let second: Cache<u64, &str> = Cache::builder(&Config::default())
        .epochs(Arc::clone(first.epochs()))
        .build()
        .expect("valid");
    let stranger = with_class(ten_seconds());
    for cache in [&first, &stranger] {
        cache.insert(key("a"), 1, ["t"]);
    }
    second.insert(1, "a", ["t"]);
    second.insert(2, "b", []);
    first.invalidate_by_tags(&["t"]);
    assert_eq!((first.try_get("a"), second.try_get(&1)), (None, None));
    assert_eq!(stranger.try_get("a"), Some(1));
    first.clear();
    assert_eq!(second.try_get(&2), Some("b"));
}

/// A ticket makes a read by hand as safe as a load.
#[tokio::test]
async fn a_value_that_was_read_before_an_invalidation_is_refused() {
    let cache = filled();
    let ticket = cache.ticket();
    cache.invalidate_by_tags(&["t"]);
    cache.invalidate("k");
    let tagged = Loaded::new(1).tags(["t"]);
    assert_eq!(
        cache.put_since(ticket, key("a"), tagged.clone()),
        Inserted::BornDead
    );
    assert_eq!(cache.put_since(ticket, key("k"), 1), Inserted::BornDead);
    assert_eq!(cache.put_since(ticket, key("b"), 1), Inserted::Stored);
    assert_eq!(
        cache.put_since(cache.ticket(), key("a"), tagged),
        Inserted::Stored
    );
}

/// An insert ends whatever older load is on its way.
#[tokio::test(start_paused = true)]
async fn an_insert_is_not_overwritten_by_an_older_load() {
    let cache = with_class(ten_seconds());
    let loading = {
        let cache = cache.clone();
        tokio::spawn(async move {
            let load = || async {
                tokio::time::sleep(ms(10)).await;
                Ok::<_, String>(1)
            };
            cache
                .get_or_fetch(&key("a"), load)
                .await
                .expect("loaded")
                .value
        })
    };
    tokio::time::sleep(ms(1)).await;
    cache.insert(key("a"), 2, []);
    assert_eq!(loading.await.expect("no panic"), 1, "it asked before");
    assert_eq!(cache.try_get("a"), Some(2));
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Observer for Seen {
    fn on_invalidated(&self, what: Invalidated<'_>) {
        self.0.lock().expect("no panic").push(format!("{what:?}"));
    }
}

#[tokio::test]
async fn an_observer_hears_of_them() {
    let seen = Arc::new(Seen::default());
    let cache: Texts = Cache::builder(&Config::default())
        .observer(seen.clone())
        .build()
        .expect("valid");
    cache.invalidate("a");
    cache.invalidate_by_tags(&["t"]);
    cache.invalidate_pattern("a*");
    cache.invalidate_namespace("n");
    cache.clear();
    let expect = [
        "Key { found: false }",
        "Tags([\"t\"])",
        "Pattern(\"a*\")",
        "Namespace(\"n\")",
        "All",
    ];
    assert_eq!(*seen.0.lock().expect("no panic"), expect);
    assert_eq!(cache.stats().invalidations, 5);
}

#[tokio::test]
async fn statistics_by_tag_are_there_on_request() {
    let config = Config {
        tag_stats_max: 2,
        ..Config::default()
    };
    let cache = cache(&config);
    cache.insert(key("a"), 1, ["x", "y"]);
    cache.put(key("b"), Loaded::new(1).tags(["x"]));
    cache.insert(key("c"), 1, ["z"]);
    cache.invalidate_by_tags(&["x", "z"]);
    let stats = cache.tag_stats();
    let of = |name: &str| {
        stats
            .get(name)
            .map(|stats| (stats.inserts, stats.invalidations))
    };
    assert_eq!(of("x"), Some((2, 1)));
    assert_eq!(of("y"), Some((1, 0)));
    assert_eq!(of(mcp_cache::OTHER_TAGS), Some((1, 1)));
    assert_eq!(of("z"), None);
    assert!(with_class(ten_seconds()).tag_stats().is_empty());
}
