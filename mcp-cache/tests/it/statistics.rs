//! Counters that are exact.

use crate::support::{Source, Texts, cache, key, load, ten_seconds, with_class};
use mcp_cache::{Cache, Config, Fetch, LoadEnd, Observer, Weigh};
use std::{
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn test_cache_statistics() {
    const EACH: u64 = 20_000;
    let config = Config {
        entries_max: NonZero::new(400),
        ..Config::default()
    };
    let cache = cache(&config);
    let loads = Arc::new(AtomicU64::new(0));
    let workers = (0..8u64).map(|worker| {
        let (cache, loads) = (cache.clone(), Arc::clone(&loads));
        tokio::spawn(async move {
            let (mut hits, mut misses, mut fetched, mut invalidated) = (0, 0, 0, 0);
            for n in 0..EACH {
                let key = ((n * 7 + worker * 13) % 500).to_string();
                match n % 5 {
                    0..=2 => match cache.try_get(&key) {
                        Some(_) => hits += 1,
                        None => misses += 1,
                    },
                    3 => {
                        let loads = Arc::clone(&loads);
                        let load = move || async move {
                            loads.fetch_add(1, Ordering::Relaxed);
                            if n % 2 == 0 {
                                tokio::task::yield_now().await;
                            }
                            Ok::<_, String>(n)
                        };
                        cache.get_or_fetch(&key, load).await.expect("loaded");
                        fetched += 1;
                    }
                    _ => {
                        cache.invalidate(&key);
                        invalidated += 1;
                    }
                }
            }
            (hits, misses, fetched, invalidated)
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut sum = (0, 0, 0, 0);
    for worker in workers {
        let (hits, misses, fetched, invalidated) = worker.await.expect("no panic");
        sum = (
            sum.0 + hits,
            sum.1 + misses,
            sum.2 + fetched,
            sum.3 + invalidated,
        );
    }
    let (hits, misses, fetched, invalidated) = sum;
    let stats = cache.stats();
    assert_eq!(
        stats.hits + stats.misses,
        hits + misses + fetched,
        "{stats:?}"
    );
    assert_eq!(stats.loads, loads.load(Ordering::Relaxed));
    // Each fetch hit, loaded, or shared another one's load.
    assert_eq!(
        stats.hits - hits + stats.loads + stats.coalesced,
        fetched,
        "{stats:?}"
    );
    assert_eq!(
        stats.misses - misses,
        stats.loads + stats.coalesced,
        "{stats:?}"
    );
    assert_eq!(stats.invalidations, invalidated);
    let evicted = stats.evictions.capacity
        + stats.evictions.expired
        + stats.evictions.invalidated
        + stats.evictions.replaced;
    assert_eq!(stats.inserts, stats.entries + evicted, "{stats:?}");
    assert_eq!(
        (stats.stale_serves, stats.load_errors, stats.loading),
        (0, 0, 0)
    );
    assert!(stats.memory_usage > 0 && stats.entries <= 400);
}

#[tokio::test]
async fn a_snapshot_is_text_and_a_ratio() {
    let cache = with_class(ten_seconds());
    assert!(cache.stats().hit_ratio().abs() < f64::EPSILON);
    cache.insert(key("a"), 1, []);
    for name in ["a", "a", "a", "b"] {
        cache.try_get(name);
    }
    assert!((cache.stats().hit_ratio() - 0.75).abs() < 1e-9);
    let text = serde_json::to_value(cache.stats()).expect("text");
    assert_eq!(text["hits"], 3);
    assert_eq!(text["evictions"]["capacity"], 0);
}

/// The bounds hold, and what leaves is counted by reason.
#[tokio::test]
async fn bytes_and_entries_are_bounded() {
    let config = Config {
        bytes_max: NonZero::new(64 << 10),
        ..Config::default()
    };
    let cache: Cache<u64, Vec<u8>> = Cache::new(&config).expect("valid");
    for n in 0..1_000u64 {
        cache.insert(n, vec![0; 1_000], []);
        assert!(cache.stats().memory_usage <= 64 << 10);
    }
    let stats = cache.stats();
    assert!((40..64).contains(&stats.entries), "{stats:?}");
    assert_eq!(stats.evictions.capacity, 1_000 - stats.entries);
    let refused = cache.insert(0, vec![0; 100 << 10], []);
    assert_eq!(refused, mcp_cache::Inserted::TooLarge);
    assert_eq!(cache.try_get(&0), None, "no older value is left");

    let weighing = Cache::<u64, u64>::weighing(&config, |_, value| *value);
    let weighing = weighing.build().expect("valid");
    weighing.insert(1, 60_000, []);
    weighing.insert(2, 60_000, []);
    assert_eq!(weighing.stats().entries, 1);
}

#[derive(Default)]
struct Seen(Mutex<Vec<LoadEnd>>, AtomicU64);

impl Observer for Seen {
    fn on_load(&self, ended: LoadEnd, took: Duration) {
        assert!(took >= Duration::from_millis(5), "{took:?}");
        self.0.lock().expect("no panic").push(ended);
    }

    fn on_error_hidden(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_loads() {
    let mut class = ten_seconds();
    class.hard_deadline = Some(Duration::from_millis(100));
    class.stale_on_error = Duration::from_secs(60);
    let config = Config {
        default_class: class,
        ..Config::default()
    };
    let seen = Arc::new(Seen::default());
    let builder = Cache::builder(&config).observer(seen.clone());
    let cache: Texts = builder.build().expect("valid");
    let source = Source::slow(1, 5);
    cache
        .get_or_fetch(&key("a"), load(&source))
        .await
        .expect("loaded");
    tokio::time::advance(Duration::from_secs(11)).await;
    source.fail(true);
    assert!(
        cache
            .get_or_fetch(&key("a"), load(&source))
            .await
            .expect("stale")
            .is_stale()
    );
    source.takes(1_000);
    assert!(cache.get_or_fetch(&key("b"), load(&source)).await.is_err());
    let (cleared, source) = (cache.clone(), Source::slow(1, 5));
    let late = || async move {
        let value = source.read().await;
        cleared.clear();
        value
    };
    cache
        .get_or_fetch_with(&key("c"), Fetch::new(), late)
        .await
        .expect("loaded");
    let ends = seen.0.lock().expect("no panic").clone();
    let expect = [
        LoadEnd::Stored,
        LoadEnd::Failed,
        LoadEnd::TimedOut,
        LoadEnd::NotStored,
    ];
    assert_eq!(ends, expect);
    assert_eq!(seen.1.load(Ordering::Relaxed), 1);
}

/// The heaviest that can be said is refused, not wrapped around.
#[tokio::test(start_paused = true)]
async fn what_weighs_too_much_is_refused() {
    #[derive(Clone)]
    struct Heavy;
    impl Weigh for Heavy {
        fn heap_bytes(&self) -> u64 {
            u64::MAX
        }
    }
    let cache: Cache<String, Heavy> = Cache::new(&Config::default()).expect("valid");
    let heavy = cache.insert(key("a"), Heavy, []);
    assert_eq!(heavy, mcp_cache::Inserted::TooLarge);
    let never = Cache::weighing(&Config::default(), |_: &String, _: &u64| u64::MAX);
    let never = never.build().expect("valid");
    assert_eq!(never.insert(key("a"), 1, []), mcp_cache::Inserted::TooLarge);
    assert_eq!(never.stats().memory_usage, 0);
}
