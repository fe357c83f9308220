//! Fresh, stale and dead in time, and loads in the background.

use crate::support::{Source, Texts, cache, key, load, ms, settle, ten_seconds, with_class};
use mcp_cache::{
    AdaptiveConfig, Answer, Cache, Class, ClassConfig, Config, Error, Loaded, Source as From,
    StaleReason,
};
use std::sync::Arc;
use tokio::time::{Instant, advance};

async fn fetch(cache: &Texts, source: &Arc<Source>) -> Result<Answer<u64>, Error<String>> {
    cache.get_or_fetch(&key("a"), load(source)).await
}

async fn answer(cache: &Texts, source: &Arc<Source>) -> (u64, From) {
    let answer = fetch(cache, source).await.expect("an answer");
    (answer.value, answer.source)
}

#[tokio::test(start_paused = true)]
async fn a_value_is_fresh_for_its_time_to_live_and_no_longer() {
    let cache = with_class(ten_seconds());
    cache.insert(key("a"), 1, []);
    cache.put(key("b"), Loaded::new(2).ttl(ms(500)));
    advance(ms(499)).await;
    assert_eq!(cache.try_get("b"), Some(2));
    advance(ms(1)).await;
    assert_eq!(cache.try_get("b"), None);
    advance(ms(9_499)).await;
    assert_eq!(cache.try_get("a"), Some(1));
    advance(ms(1)).await;
    assert_eq!(cache.try_get("a"), None);
    assert_eq!(cache.get("a", Class::DEFAULT), None);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_while_one_load_runs() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::slow(1, 100));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    advance(ms(10_000)).await;
    source.set(2);
    let stale = (1, From::Stale(StaleReason::Revalidating));
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(answer(&cache, &source).await, stale);
    }
    assert_eq!(began.elapsed(), ms(0), "nobody waits");
    assert_eq!(cache.try_get("a"), None, "it is not fresh");
    let marked = cache.get("a", Class::DEFAULT).expect("stale");
    assert!(marked.is_stale() && marked.is_cached());
    tokio::time::sleep(ms(101)).await;
    assert_eq!(answer(&cache, &source).await, (2, From::Hit));
    assert_eq!(source.reads(), 2);
    let stats = cache.stats();
    assert_eq!((stats.refreshes, stats.stale_serves), (1, 101));
}

/// Invalidated is not stale: it is not served, whatever the class allows.
#[tokio::test(start_paused = true)]
async fn what_was_invalidated_is_never_served_as_stale() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        stale_on_error: ms(5_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    advance(ms(10_000)).await;
    cache.invalidate("a");
    source.fail(true);
    assert!(fetch(&cache, &source).await.is_err());
    assert_eq!(cache.get("a", Class::DEFAULT), None);
}

#[tokio::test(start_paused = true)]
async fn unless_the_class_prefers_even_that_to_an_error() {
    let class = ClassConfig {
        invalidated_on_error: true,
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    cache.clear();
    assert_eq!(cache.try_get("a"), None);
    source.set(2);
    source.fail(true);
    let stale = (1, From::Stale(StaleReason::Invalidated));
    assert_eq!(answer(&cache, &source).await, stale);
    source.fail(false);
    assert_eq!(answer(&cache, &source).await, (2, From::Loaded));
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_hides_an_error_for_as_long_as_its_class_says() {
    let class = ClassConfig {
        stale_on_error: ms(5_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    advance(ms(10_000)).await;
    source.fail(true);
    let stale = (1, From::Stale(StaleReason::LoadFailed));
    assert_eq!(answer(&cache, &source).await, stale);
    assert_eq!(source.reads(), 2, "it was tried");
    advance(ms(4_999)).await;
    assert_eq!(answer(&cache, &source).await, stale);
    advance(ms(1)).await;
    assert!(fetch(&cache, &source).await.is_err(), "dead");
    source.fail(false);
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    let stats = cache.stats();
    assert_eq!((stats.stale_serves, stats.load_errors), (2, 3));
    assert_eq!((stats.hits, stats.misses), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn the_soft_deadline_serves_stale_and_the_load_goes_on() {
    let class = ClassConfig {
        stale_on_error: ms(60_000),
        soft_deadline: Some(ms(50)),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    advance(ms(10_000)).await;
    source.set(2);
    source.takes(20);
    assert_eq!(answer(&cache, &source).await, (2, From::Loaded), "in time");
    advance(ms(10_020)).await;
    source.set(3);
    source.takes(200);
    let began = Instant::now();
    assert_eq!(
        answer(&cache, &source).await,
        (2, From::Stale(StaleReason::LoadSlow))
    );
    assert_eq!(began.elapsed(), ms(50));
    tokio::time::sleep(ms(151)).await;
    assert_eq!(answer(&cache, &source).await, (3, From::Hit));
}

#[tokio::test(start_paused = true)]
async fn the_hard_deadline_is_an_error_for_all_who_wait() {
    let class = ClassConfig {
        hard_deadline: Some(ms(50)),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::slow(1, 1_000));
    let began = Instant::now();
    let (first, second) = tokio::join!(fetch(&cache, &source), fetch(&cache, &source));
    for result in [first, second] {
        let error = result.expect_err("too slow");
        assert!(matches!(error, Error::DeadlineExceeded { limit } if limit == ms(50)));
        assert!(error.is_retryable() && error.into_load().is_none());
    }
    assert_eq!((began.elapsed(), source.reads()), (ms(50), 1));
    assert_eq!(cache.stats().load_timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hit_near_the_end_loads_ahead() {
    let class = ClassConfig {
        refresh_ahead: 0.2,
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::slow(1, 100));
    assert_eq!(answer(&cache, &source).await, (1, From::Loaded));
    advance(ms(7_899)).await;
    assert_eq!(answer(&cache, &source).await, (1, From::Hit));
    settle().await;
    assert_eq!(source.reads(), 1);
    advance(ms(1_200)).await;
    source.set(2);
    assert_eq!(
        answer(&cache, &source).await,
        (1, From::Hit),
        "nobody waits"
    );
    assert_eq!(answer(&cache, &source).await, (1, From::Hit));
    tokio::time::sleep(ms(101)).await;
    assert_eq!(answer(&cache, &source).await, (2, From::Hit));
    advance(ms(5_000)).await;
    assert_eq!(
        answer(&cache, &source).await,
        (2, From::Hit),
        "a whole new life"
    );
    assert_eq!((source.reads(), cache.stats().refreshes), (2, 1));
}

/// Entries that were loaded together are due one after the other, each once.
#[tokio::test(start_paused = true)]
async fn entries_are_due_at_moments_of_their_own() {
    let class = ClassConfig {
        refresh_ahead: 0.2,
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    let keys: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    for key in &keys {
        cache
            .get_or_fetch(key, load(&source))
            .await
            .expect("loaded");
    }
    advance(ms(8_000)).await;
    let mut loads = Vec::new();
    for _ in 0..11 {
        for key in &keys {
            let answer = cache.get_or_fetch(key, load(&source)).await;
            assert_eq!(answer.expect("there").source, From::Hit);
        }
        settle().await;
        loads.push(source.reads() - 100);
        advance(ms(100)).await;
    }
    assert!((25..75).contains(&loads[5]), "{loads:?}");
    assert_eq!(loads[10], 100, "{loads:?}");
    assert_eq!(cache.stats().refreshes, 100, "each one loads");
}

/// What is invalidated while it is refreshed does not come back.
#[tokio::test(start_paused = true)]
async fn a_refresh_obeys_invalidation() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::slow(1, 100));
    let tagged = |source: &Arc<Source>| {
        let source = Arc::clone(source);
        move || source.read_tagged("t")
    };
    cache
        .get_or_fetch(&key("a"), tagged(&source))
        .await
        .expect("loaded");
    advance(ms(10_000)).await;
    let stale = cache
        .get_or_fetch(&key("a"), tagged(&source))
        .await
        .expect("stale");
    assert!(stale.is_stale());
    settle().await;
    source.set(2);
    cache.invalidate_by_tags(&["t"]);
    let late = cache
        .get_or_fetch(&key("a"), tagged(&source))
        .await
        .expect("loaded");
    assert_eq!((late.value, late.source), (2, From::Loaded));
    assert_eq!(cache.stats().born_dead, 1);
}

#[tokio::test(start_paused = true)]
async fn loads_in_the_background_are_bounded_and_owned() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        ..ten_seconds()
    };
    let config = Config {
        default_class: class,
        background_max: 2,
        ..Config::default()
    };
    let (cache, source) = (cache(&config), Source::new(1));
    let keys: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    for key in &keys {
        cache
            .get_or_fetch(key, load(&source))
            .await
            .expect("loaded");
    }
    advance(ms(10_000)).await;
    source.close();
    for key in &keys {
        let answer = cache.get_or_fetch(key, load(&source)).await.expect("stale");
        assert!(answer.is_stale());
    }
    settle().await;
    let stats = cache.stats();
    assert_eq!(
        (stats.refreshes, stats.refreshes_shed, stats.loading),
        (2, 3, 2)
    );
    assert_eq!(source.reads(), 7);

    assert_eq!(cache.close(ms(100)).await, 2, "what is left is dropped");
    settle().await;
    assert_eq!(cache.stats().loading, 0);
    source.open();
    let answer = cache
        .get_or_fetch(&keys[0], load(&source))
        .await
        .expect("stale");
    assert!(answer.is_stale(), "it goes on without a background");
    assert_eq!(cache.stats().refreshes, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_what_runs() {
    let class = ClassConfig {
        stale_while_revalidate: ms(5_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(1));
    fetch(&cache, &source).await.expect("loaded");
    advance(ms(10_000)).await;
    source.close();
    fetch(&cache, &source).await.expect("stale");
    settle().await;
    assert_eq!(Arc::strong_count(&source), 2, "a load holds it");
    drop(cache);
    settle().await;
    assert_eq!(Arc::strong_count(&source), 1);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_gives_dead_entries_back() {
    let cache = with_class(ten_seconds());
    for n in 0..1_000u64 {
        cache.insert(n.to_string(), n, ["t"]);
    }
    cache.invalidate_by_tags(&["t"]);
    assert_eq!(cache.stats().entries, 1_000);
    tokio::time::sleep(ms(250_000)).await;
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.memory_usage), (0, 0));
    let gone = stats.evictions;
    assert_eq!(gone.invalidated + gone.expired, 1_000, "{gone:?}");

    cache.insert(key("a"), 1, []);
    cache.clear();
    assert_eq!(cache.sweep(), 1);
}

/// A value that never changes is kept longer and longer, one that always does
/// shorter.
#[tokio::test(start_paused = true)]
async fn the_time_to_live_is_learned() {
    let adaptive = AdaptiveConfig {
        ttl_min: ms(100),
        ttl_max: ms(100_000),
        stale_share: 0.05,
        ..AdaptiveConfig::default()
    };
    let config = Config {
        default_class: ClassConfig {
            adaptive: Some(adaptive),
            ..ten_seconds()
        },
        ..Config::default()
    };
    let error = Cache::<String, u64>::new(&config).expect_err("values are not compared");
    assert_eq!(error.field, "adaptive");
    let cache: Texts = Cache::builder(&config).compare().build().expect("valid");
    let (still, restless) = (Source::new(1), Source::new(1));
    for second in 0..20_000 {
        advance(ms(1_000)).await;
        restless.set(second / 4);
        for (name, source) in [("still", &still), ("restless", &restless)] {
            cache
                .get_or_fetch(&key(name), load(source))
                .await
                .expect("loaded");
        }
    }
    let (still, restless) = (still.reads(), restless.reads());
    assert!(still < 20_000 / 50, "{still}");
    assert!(restless > 20_000 / 8, "{restless}");
}
