//! Callers of one key at once.

use crate::support::{Source, Texts, key, load, ms, settle, ten_seconds, with_class};
use mcp_cache::{Answer, Cache, ClassConfig, Config, Error, Fetch, Loaded, Source as From};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

type Result = std::result::Result<Answer<u64>, Error<String>>;

async fn fetch(cache: &Texts, source: &Arc<Source>) -> Result {
    cache.get_or_fetch(&key("a"), load(source)).await
}

/// Callers that all began before this returns, and wait.
async fn callers(cache: &Texts, source: &Arc<Source>, count: usize) -> JoinSet<Result> {
    let mut callers = JoinSet::new();
    for _ in 0..count {
        let (cache, source) = (cache.clone(), Arc::clone(source));
        callers.spawn(async move { fetch(&cache, &source).await });
    }
    settle().await;
    callers
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_cause_one_load() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 5));
    let callers = callers(&cache, &source, 10_000).await;
    let answers: Vec<_> = callers.join_all().await;
    let from = |from| {
        let answers = answers.iter().flatten();
        answers.filter(|answer| answer.source == from).count()
    };
    assert!(answers.iter().flatten().all(|answer| answer.value == 7));
    assert_eq!((from(From::Loaded), from(From::Shared)), (1, 9_999));
    assert_eq!(source.reads(), 1);
    let stats = cache.stats();
    assert_eq!(
        (stats.loads, stats.coalesced, stats.misses),
        (1, 9_999, 10_000)
    );
    assert_eq!((stats.hits, stats.loading), (0, 0));
}

/// The same with threads, which also meet between a miss and a join.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_callers_on_threads_cause_one_load() {
    for _ in 0..5 {
        let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 5));
        let answers = callers(&cache, &source, 10_000).await.join_all().await;
        assert!(answers.iter().flatten().all(|answer| answer.value == 7));
        assert_eq!((answers.len(), source.reads()), (10_000, 1));
        let stats = cache.stats();
        assert_eq!(stats.hits + stats.misses, 10_000, "{stats:?}");
        assert_eq!(
            stats.hits + stats.coalesced + stats.loads,
            10_000,
            "{stats:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_for_those_who_waited() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 5));
    source.fail(true);
    let results = callers(&cache, &source, 100).await.join_all().await;
    let is_error = |result: &Result| matches!(result, Err(Error::Load(text)) if **text == "no 7");
    assert!(results.iter().all(is_error));
    assert_eq!(source.reads(), 1);
    source.fail(false);
    assert_eq!(
        fetch(&cache, &source).await.expect("it is not kept").value,
        7
    );
    let stats = cache.stats();
    assert_eq!(
        (stats.loads, stats.load_errors, stats.coalesced),
        (2, 1, 99)
    );
}

/// An error of another type than the caller's is not its error.
#[tokio::test(start_paused = true)]
async fn callers_with_other_errors_load_for_themselves() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 5));
    source.fail(true);
    let callers = callers(&cache, &source, 1).await;
    let load = || async { Err::<u64, _>(5u8) };
    let other = cache.get_or_fetch(&key("a"), load).await;
    assert!(matches!(other, Err(Error::Load(error)) if *error == 5));
    assert!(callers.join_all().await[0].is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_leader_hands_over() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 1_000));
    let leader = timeout(ms(10), fetch(&cache, &source));
    let (leader, followers) = tokio::join!(leader, callers(&cache, &source, 100));
    assert!(leader.is_err(), "it went away");
    let answers = followers.join_all().await;
    assert!(answers.iter().flatten().all(|answer| answer.value == 7));
    assert_eq!((answers.len(), source.reads()), (100, 2));
    assert_eq!(cache.stats().loading, 0);
}

/// Each leader goes away in its turn; the last caller still gets its answer.
#[tokio::test(start_paused = true)]
async fn leaders_that_all_go_away_leave_nobody_behind() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(7, 1_000));
    let mut callers = JoinSet::new();
    for n in 1..=20 {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        let patience = if n == 20 { Duration::MAX } else { ms(100 * n) };
        callers.spawn(async move { timeout(patience, fetch(&cache, &source)).await });
    }
    let answered = callers.join_all().await.into_iter().flatten().count();
    assert_eq!((answered, source.reads()), (1, 20));
    assert_eq!(cache.stats().loading, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_its_callers_own() {
    let (cache, source) = (with_class(ten_seconds()), Source::new(7));
    let panics = cache.clone();
    let panics = tokio::spawn(async move {
        let load = || async {
            tokio::time::sleep(ms(5)).await;
            panic!("on purpose")
        };
        panics.get_or_fetch::<_, u64, String>(&key("a"), load).await
    });
    settle().await;
    let follower = callers(&cache, &source, 1).await;
    assert!(panics.await.expect_err("it panicked").is_panic());
    let answer = follower.join_all().await.remove(0).expect("it took over");
    assert_eq!((answer.value, answer.source), (7, From::Loaded));
}

/// Whoever comes after the invalidation returned gets what was loaded after it.
#[tokio::test(start_paused = true)]
async fn a_doomed_load_is_never_served_to_those_who_came_later() {
    type Invalidate = fn(&Texts);
    let forms: [(&str, Invalidate); 5] = [
        ("key", |cache| assert!(!cache.invalidate("a"))),
        ("tag", |cache| cache.invalidate_by_tags(&["t"])),
        ("pattern", |cache| cache.invalidate_pattern("*a*")),
        ("namespace", |cache| cache.invalidate_namespace("n")),
        ("all", Cache::clear),
    ];
    for (form, invalidate) in forms {
        let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
        let ask = || {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move {
                let load = move || async move {
                    let value = source.read().await?;
                    Ok::<_, String>(Loaded::new(value).tags(["t"]).namespace("n"))
                };
                cache
                    .get_or_fetch(&key("a"), load)
                    .await
                    .expect("loaded")
                    .value
            })
        };
        let early = ask();
        let joined = ask();
        settle().await;
        source.set(2);
        invalidate(&cache);
        let late = ask();
        assert_eq!(early.await.expect("no panic"), 1, "{form}: it asked before");
        assert_eq!(
            joined.await.expect("no panic"),
            1,
            "{form}: it asked before"
        );
        assert_eq!(late.await.expect("no panic"), 2, "{form}");
        assert_eq!(cache.try_get("a"), Some(2), "{form}");
        assert_eq!(source.reads(), 2, "{form}");
    }
}

/// Invalidations of strangers do not part callers of one key.
#[tokio::test(start_paused = true)]
async fn strangers_are_not_doomed() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
    let mut all = callers(&cache, &source, 1).await;
    for n in 0..20 {
        cache.invalidate_by_tags(&[&format!("stranger {n}")]);
        cache.invalidate(&format!("stranger {n}"));
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        all.spawn(async move { fetch(&cache, &source).await });
        settle().await;
    }
    assert_eq!(all.join_all().await.len(), 21);
    assert_eq!(source.reads(), 1);
}

/// A caller that names a tag before knows without waiting that it may not have the
/// value of a load that began before the tag was invalidated.
#[tokio::test(start_paused = true)]
async fn a_tag_that_is_known_before_spares_the_wait() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 10_000));
    let slow = callers(&cache, &source, 1).await;
    cache.invalidate_by_tags(&["t"]);
    source.takes(1);
    let began = tokio::time::Instant::now();
    let fetch = Fetch::new().tags(&["t"]);
    let answer = cache
        .get_or_fetch_with(&key("a"), fetch, load(&source))
        .await;
    assert_eq!(answer.expect("loaded").source, From::Loaded);
    assert!(began.elapsed() < ms(100));
    drop(slow);
}

/// Under steady invalidation a caller loads once, or twice if it joined too late.
#[tokio::test(start_paused = true)]
async fn steady_invalidation_starves_nobody() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
    let storm = {
        let cache = cache.clone();
        tokio::spawn(async move {
            loop {
                cache.clear();
                tokio::time::sleep(ms(1)).await;
            }
        })
    };
    let calls = Arc::new(AtomicU64::new(0));
    let mut all = JoinSet::new();
    for n in 0..200 {
        let (cache, source, calls) = (cache.clone(), Arc::clone(&source), Arc::clone(&calls));
        all.spawn(async move {
            tokio::time::sleep(ms(n)).await;
            fetch(&cache, &source).await.expect("loaded");
            calls.fetch_add(1, Ordering::Relaxed);
        });
    }
    tokio::time::sleep(ms(200 + 201)).await;
    assert_eq!(calls.load(Ordering::Relaxed), 200);
    storm.abort();
}

#[tokio::test(start_paused = true)]
async fn errors_are_kept_where_the_class_asks_for_it() {
    let class = ClassConfig {
        error_ttl: ms(500),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(7));
    source.fail(true);
    for _ in 0..10 {
        assert!(fetch(&cache, &source).await.is_err());
    }
    assert_eq!((source.reads(), cache.stats().error_hits), (1, 9));
    tokio::time::advance(ms(500)).await;
    assert!(fetch(&cache, &source).await.is_err());
    assert_eq!(source.reads(), 2);

    source.fail(false);
    assert!(fetch(&cache, &source).await.is_err(), "still kept");
    cache.invalidate("a");
    assert_eq!(fetch(&cache, &source).await.expect("loaded").value, 7);

    // A value ends the error, and an invalidated value does not bring it back.
    source.fail(true);
    cache.invalidate("a");
    assert!(fetch(&cache, &source).await.is_err());
    cache.insert(key("a"), 8, []);
    cache.clear();
    source.fail(false);
    assert_eq!(fetch(&cache, &source).await.expect("loaded").value, 7);
}

/// The load that failed did not come to say which tags its value has.
#[tokio::test(start_paused = true)]
async fn an_error_is_kept_until_anything_is_invalidated() {
    let class = ClassConfig {
        error_ttl: ms(60_000),
        ..ten_seconds()
    };
    let (cache, source) = (with_class(class), Source::new(7));
    let invalidations: [fn(&Texts); 3] = [
        |cache| cache.invalidate_by_tags(&["agents"]),
        |cache| cache.invalidate_namespace("agents"),
        |cache| cache.invalidate_pattern("*"),
    ];
    for invalidate in invalidations {
        cache.invalidate("a");
        source.fail(true);
        assert!(fetch(&cache, &source).await.is_err());
        source.fail(false);
        cache.invalidate("b");
        assert!(fetch(&cache, &source).await.is_err(), "still kept");
        invalidate(&cache);
        assert_eq!(fetch(&cache, &source).await.expect("loaded").value, 7);
    }
}

/// "There is no such thing" as a value, kept for a time of its own.
#[tokio::test(start_paused = true)]
async fn absence_can_be_cached() {
    let brief = ClassConfig {
        ttl: Some(ms(100)),
        jitter: 0.0,
        ..ClassConfig::default()
    };
    let config = Config {
        default_class: ten_seconds(),
        classes: [("absent".to_owned(), brief)].into(),
        ..Config::default()
    };
    let cache: Cache<u32, Option<u64>> = Cache::new(&config).expect("valid");
    let absent = cache.class("absent").expect("configured");
    assert_eq!(cache.class("other"), None);
    let loads = Arc::new(AtomicU64::new(0));
    let find = |found: Option<u64>| {
        let loads = Arc::clone(&loads);
        move || async move {
            loads.fetch_add(1, Ordering::Relaxed);
            let loaded = Loaded::new(found);
            let loaded = if found.is_none() {
                loaded.class(absent)
            } else {
                loaded
            };
            Ok::<_, String>(loaded)
        }
    };
    for (found, expect, after) in [
        (None, 1, 99),
        (Some(1), 1, 1),
        (Some(1), 2, 9_999),
        (None, 2, 1),
    ] {
        cache.get_or_fetch(&1, find(found)).await.expect("loaded");
        assert_eq!(loads.load(Ordering::Relaxed), expect, "{found:?}");
        tokio::time::advance(ms(after)).await;
    }
}
