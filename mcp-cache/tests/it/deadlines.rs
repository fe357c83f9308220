//! Deadlines of those who wait, and room in the background.

use crate::support::{Source, cache, key, load, ms, settle, ten_seconds, with_class};
use mcp_cache::{ClassConfig, Config, Source as From, StaleReason};
use std::sync::Arc;
use tokio::time::{Instant, advance};

/// Only the one who loads takes room in the background, and without any the
/// deadline holds all the same.
#[tokio::test(start_paused = true)]
async fn the_soft_deadline_holds_for_however_many() {
    let class = ClassConfig {
        stale_on_error: ms(60_000),
        soft_deadline: Some(ms(50)),
        ..ten_seconds()
    };
    let config = Config {
        default_class: class,
        background_max: 2,
        ..Config::default()
    };
    let (cache, source) = (cache(&config), Source::new(1));
    for name in ["a", "b", "c"] {
        cache.insert(key(name), 1, []);
    }
    advance(ms(10_000)).await;
    source.close();
    let slow = From::Stale(StaleReason::LoadSlow);
    let ask = |name| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        async move {
            let began = Instant::now();
            let answer = cache.get_or_fetch(&key(name), load(&source)).await;
            assert_eq!(answer.expect("stale").source, slow, "{name}");
            assert_eq!(began.elapsed(), ms(50), "{name}");
        }
    };
    for _ in 0..3 {
        tokio::join!(ask("a"), ask("a"), ask("a"));
    }
    assert_eq!((source.reads(), cache.stats().refreshes_shed), (1, 0));
    ask("b").await;
    ask("c").await;
    let stats = cache.stats();
    assert_eq!((stats.refreshes_shed, stats.loading), (1, 2));
    cache.close(ms(0)).await;
    ask("a").await;
    source.open();
    settle().await;
    let answer = cache.get_or_fetch(&key("a"), load(&source)).await;
    assert_eq!(
        answer.expect("loaded").source,
        From::Loaded,
        "it is loaded here"
    );
}

/// The panic is the background's, and the caller has its stale value.
#[tokio::test(start_paused = true)]
async fn a_load_that_panics_behind_the_soft_deadline_has_failed() {
    let class = ClassConfig {
        stale_on_error: ms(60_000),
        soft_deadline: Some(ms(50)),
        ..ten_seconds()
    };
    let cache = with_class(class);
    cache.insert(key("a"), 1, []);
    advance(ms(10_000)).await;
    let panics = || async { no_load() };
    let answer = cache.get_or_fetch(&key("a"), panics).await;
    let answer = answer.expect("stale");
    assert_eq!(
        (answer.value, answer.source),
        (1, From::Stale(StaleReason::LoadFailed))
    );
    assert_eq!(cache.stats().loading, 0);
}

fn no_load() -> Result<u64, String> {
    panic!("no load")
}
