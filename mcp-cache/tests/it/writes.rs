//! Writes that the cache hears of, calls past it, and filling it.

use crate::support::{Source, Texts, key, load, ms, settle, ten_seconds, with_class};
use mcp_cache::{Cache, Config, Fetch, Inserted, Loaded, Source as From, hottest};
use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::time::{sleep, timeout};

async fn write(source: &Source, value: u64, takes_ms: u64) -> Result<Loaded<u64>, String> {
    sleep(ms(takes_ms / 2)).await;
    source.set(value);
    sleep(ms(takes_ms - takes_ms / 2)).await;
    Ok(Loaded::new(value).tags(["t"]))
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_through() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(0));
    cache.insert(key("a"), 0, []);
    let written = cache
        .write_through(key("a"), || write(&source, 1, 10))
        .await;
    assert_eq!((written, cache.try_get("a")), (Ok(1), Some(1)));
    cache.invalidate_by_tags(&["t"]);
    assert_eq!(cache.try_get("a"), None, "it has its tags");
}

/// Whichever order they reach the source in, the older value is not left.
#[tokio::test(start_paused = true)]
async fn racing_writes_leave_no_older_value() {
    for (first_ms, second_ms) in [(10, 30), (30, 10), (20, 20)] {
        let (cache, source) = (with_class(ten_seconds()), Source::new(0));
        let first = cache.write_through(key("a"), || write(&source, 1, first_ms));
        let second = cache.write_through(key("a"), || write(&source, 2, second_ms));
        let written = tokio::join!(first, second);
        assert_eq!(written, (Ok(1), Ok(2)));
        let now = source.value.load(Ordering::Relaxed);
        let read = cache
            .get_or_fetch(&key("a"), load(&source))
            .await
            .expect("loaded");
        assert_eq!(read.value, now, "{first_ms} {second_ms}");
    }
}

/// A load that read the source before the write does not bring the old value.
#[tokio::test(start_paused = true)]
async fn a_write_overtakes_loads_in_flight() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(0, 100));
    let slow = {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { cache.get_or_fetch(&key("a"), load(&source)).await })
    };
    settle().await;
    cache
        .write_through(key("a"), || write(&source, 1, 10))
        .await
        .expect("written");
    assert_eq!(
        slow.await.expect("no panic").expect("loaded").value,
        0,
        "it asked before"
    );
    assert_eq!(cache.try_get("a"), Some(1));
}

/// Nobody knows whether the source was written.
#[tokio::test(start_paused = true)]
async fn a_write_that_fails_or_is_dropped_invalidates() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(0));
    cache.insert(key("a"), 0, []);
    let failed = async || Err::<u64, _>("lost the connection");
    let written = cache.write_through(key("a"), failed).await;
    assert_eq!(
        (written, cache.try_get("a")),
        (Err("lost the connection"), None)
    );

    for after_ms in [0, 7, 20] {
        cache.insert(key("a"), 0, []);
        let write = cache.write_through(key("a"), || write(&source, 1, 20));
        let dropped = timeout(ms(after_ms), write).await;
        assert_eq!(dropped.is_err(), after_ms < 20, "{after_ms}");
        let expect = (after_ms == 20).then_some(1);
        assert_eq!(cache.try_get("a"), expect, "{after_ms}");
    }
    cache.insert(key("a"), 0, []);
    drop(cache.begin_write(key("a")));
    assert_eq!(cache.try_get("a"), None);
    assert_eq!(cache.begin_write(key("a")).commit(5), Inserted::Stored);
    assert_eq!(cache.try_get("a"), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_call_past_the_cache_leaves_no_trace() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(1));
    let past = |source: &Arc<Source>| {
        let (cache, load) = (cache.clone(), load(source));
        async move {
            cache
                .get_or_fetch_with(&key("a"), Fetch::new().bypass(), load)
                .await
        }
    };
    let answer = past(&source).await.expect("loaded");
    assert_eq!((answer.source, cache.try_get("a")), (From::Bypassed, None));
    cache.insert(key("a"), 5, []);
    assert_eq!(past(&source).await.expect("loaded").value, 1);
    assert_eq!(cache.try_get("a"), Some(5));

    let renew = Fetch::new().renew();
    let renewed = cache
        .get_or_fetch_with(&key("a"), renew, load(&source))
        .await;
    assert_eq!(renewed.expect("loaded").source, From::Loaded);
    assert_eq!(cache.try_get("a"), Some(1));
    assert_eq!((source.reads(), cache.stats().bypassed), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn the_whole_cache_can_be_passed_by() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(1));
    cache.insert(key("a"), 5, []);
    cache.set_bypass(true);
    assert_eq!(cache.try_get("a"), None);
    assert_eq!(cache.insert(key("b"), 6, []), Inserted::BornDead);
    for _ in 0..2 {
        let answer = cache.get_or_fetch(&key("a"), load(&source)).await;
        assert_eq!(answer.expect("loaded").source, From::Bypassed);
    }
    // What happened meanwhile told it nothing.
    cache.set_bypass(false);
    assert_eq!((cache.try_get("a"), cache.try_get("b")), (None, None));
    cache.insert(key("a"), 7, []);
    cache.set_bypass(false);
    assert_eq!(cache.try_get("a"), Some(7));
    assert_eq!((source.reads(), cache.stats().bypassed), (2, 2));
}

/// A load that is still on its way is not stored.
#[tokio::test(start_paused = true)]
async fn a_load_that_lands_while_the_cache_is_passed_by_is_not_stored() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
    let slow = {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { cache.get_or_fetch(&key("a"), load(&source)).await })
    };
    settle().await;
    cache.set_bypass(true);
    let loaded = slow.await.expect("no panic").expect("loaded");
    assert_eq!((loaded.value, cache.stats().entries), (1, 0));
    cache.set_bypass(false);
    assert_eq!(cache.try_get("a"), None);
}

#[tokio::test(start_paused = true)]
async fn warming_loads_what_is_missing_a_few_at_once() {
    let cache: Texts = with_class(ten_seconds());
    cache.insert(key("3"), 3, []);
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let loading = |key: &String| {
        let (number, now, most) = (key.parse::<u64>(), Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            sleep(ms(10)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            number
        }
    };
    let log = ["9", "3", "x", "9", "1", "3", "9", "4", "5", "6", "7"];
    let keys = hottest(log, 8).into_iter().map(str::to_owned);
    let mut steps = Vec::new();
    let three = NonZero::new(3).expect("not zero");
    let warmed = cache
        .warm(keys, Fetch::new(), three, loading, |warmed| {
            steps.push(warmed.done())
        })
        .await;
    assert_eq!((warmed.loaded, warmed.present, warmed.failed), (6, 1, 1));
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert_eq!((cache.try_get("9"), cache.try_get("x")), (Some(9), None));
    assert_eq!(cache.stats().loading, 0);
}

/// Warming obeys invalidations, and can be dropped half-way.
#[tokio::test(start_paused = true)]
async fn warming_may_be_overtaken_or_dropped() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
    let one = NonZero::<usize>::MIN;
    let warming = |keys: Vec<String>| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        async move {
            let loading = |_: &String| Arc::clone(&source).read();
            cache.warm(keys, Fetch::new(), one, loading, |_| {}).await
        }
    };
    let overtaken = tokio::spawn(warming(vec![key("a")]));
    settle().await;
    source.set(2);
    cache.invalidate("a");
    assert_eq!(overtaken.await.expect("no panic").loaded, 1);
    assert_eq!(
        cache.try_get("a"),
        None,
        "it was read before the invalidation"
    );

    let dropped = timeout(ms(150), warming(vec![key("b"), key("c"), key("d")])).await;
    settle().await;
    assert!(dropped.is_err());
    assert_eq!((cache.try_get("b"), cache.try_get("c")), (Some(2), None));
    assert_eq!(cache.stats().loading, 0);
}

/// A load or a write that works as soon as it is called, not when it is awaited.
#[tokio::test(start_paused = true)]
async fn what_begins_when_it_is_called_is_overtaken_too() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(1));
    let read = |_: &String| {
        let value = source.value.load(Ordering::Relaxed);
        source.set(2);
        cache.invalidate("a");
        std::future::ready(Ok::<_, String>(value))
    };
    let one = NonZero::<usize>::MIN;
    let warmed = cache
        .warm([key("a")], Fetch::new(), one, read, |_| {})
        .await;
    assert_eq!(warmed.loaded, 1);
    assert_eq!(cache.try_get("a"), None, "it was read before");

    let write = || {
        cache.begin_write(key("a")).commit(4);
        std::future::ready(Ok::<_, String>(3))
    };
    assert_eq!(cache.write_through(key("a"), write).await, Ok(3));
    assert_eq!(
        cache.try_get("a"),
        None,
        "nobody knows which one is the later"
    );
}

/// The source was written, so the old value must not stay.
#[tokio::test(start_paused = true)]
async fn a_commit_that_panics_invalidates() {
    let weigh = |_: &String, value: &u64| match value {
        2 => panic!("no weight"),
        _ => 0,
    };
    let cache: Texts = Cache::weighing(&Config::default(), weigh)
        .build()
        .expect("valid");
    cache.insert(key("a"), 1, []);
    let write = cache.begin_write(key("a"));
    let commit = std::panic::AssertUnwindSafe(|| write.commit(2));
    assert!(std::panic::catch_unwind(commit).is_err());
    assert_eq!(cache.try_get("a"), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_warmed_past_the_cache() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(1));
    let one = NonZero::<usize>::MIN;
    for (fetch, bypass) in [(Fetch::new().bypass(), false), (Fetch::new(), true)] {
        cache.set_bypass(bypass);
        let keys = ["a", "b"].map(key);
        let loading = |_: &String| Arc::clone(&source).read();
        let warmed = cache.warm(keys, fetch, one, loading, |_| {}).await;
        assert_eq!((warmed.done(), source.reads()), (0, 0));
    }
    assert_eq!(cache.stats().entries, 0);
}
