//! Every public future, dropped at every one of its awaits.

use crate::support::{Source, Texts, cache, key, load, ms, settle, ten_seconds};
use mcp_cache::{ClassConfig, Config, Fetch};
use std::{
    future::poll_fn,
    num::NonZero,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

type Scenario = fn(Texts, Arc<Source>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that needs several polls, whatever it is made of: timers fire at once in
/// paused time, and each one is an await.
const SCENARIOS: [(&str, Scenario); 7] = [
    ("a leader", |cache, source| {
        Box::pin(async move {
            let _ = cache.get_or_fetch(&key("new"), load(&source)).await;
        })
    }),
    ("a leader that fails", |cache, source| {
        Box::pin(async move {
            source.fail(true);
            let _ = cache.get_or_fetch(&key("new"), load(&source)).await;
            source.fail(false);
        })
    }),
    ("a follower", |cache, source| {
        let leader = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            async move {
                let _ = cache.get_or_fetch(&key("new"), load(&source)).await;
            }
        };
        Box::pin(async move {
            // Its own task, so that it goes on when the follower is dropped.
            tokio::spawn(leader);
            tokio::task::yield_now().await;
            let _ = cache.get_or_fetch(&key("new"), load(&source)).await;
        })
    }),
    ("past the cache", |cache, source| {
        Box::pin(async move {
            let past = Fetch::new().bypass();
            let _ = cache
                .get_or_fetch_with(&key("new"), past, load(&source))
                .await;
        })
    }),
    ("a caller with a soft deadline", |cache, source| {
        Box::pin(async move {
            let _ = cache.get_or_fetch(&key("stale"), load(&source)).await;
        })
    }),
    ("a write", |cache, source| {
        Box::pin(async move {
            let written = async || {
                source.set(2);
                Arc::clone(&source).read().await
            };
            let _ = cache.write_through(key("new"), written).await;
        })
    }),
    ("warming", |cache, source| {
        Box::pin(async move {
            let keys = ["new", "newer", "newest"].map(key);
            let two = NonZero::new(2).expect("not zero");
            let loading = |_: &String| Arc::clone(&source).read();
            cache.warm(keys, Fetch::new(), two, loading, |_| {}).await;
        })
    }),
];

#[tokio::test(start_paused = true)]
async fn a_future_may_be_dropped_at_every_await() {
    for (name, scenario) in SCENARIOS {
        let mut ended = false;
        for polls in 0..20 {
            ended = drop_after(name, scenario, polls).await;
            if ended {
                break;
            }
        }
        assert!(ended, "{name}: it ends by itself at last");
    }
}

/// Whether it was over before.
async fn drop_after(name: &str, scenario: Scenario, polls: usize) -> bool {
    let class = ClassConfig {
        stale_on_error: ms(3_600_000),
        soft_deadline: Some(ms(3)),
        hard_deadline: Some(ms(60_000)),
        ..ten_seconds()
    };
    let config = Config {
        default_class: class,
        ..Config::default()
    };
    let (cache, source) = (cache(&config), Source::slow(1, 5));
    cache.insert(key("stale"), 0, []);
    tokio::time::advance(ms(10_000)).await;

    let mut future = scenario(cache.clone(), Arc::clone(&source));
    let mut left = polls;
    let ended = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            // Comes again when a timer fires or a task wakes it.
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    drop(future);

    // Whoever else was waiting goes on, and then all is as if it had never been.
    source.fail(false);
    let after = cache.get_or_fetch(&key("new"), load(&source)).await;
    let now = source.value.load(Ordering::Relaxed);
    assert_eq!(
        after.expect("loaded").value,
        now,
        "{name} after {polls} polls"
    );
    assert_eq!(
        cache.close(ms(1_000)).await,
        0,
        "{name} after {polls} polls"
    );
    settle().await;
    let stats = cache.stats();
    assert_eq!(stats.loading, 0, "{name} after {polls} polls");
    drop(cache);
    settle().await;
    assert_eq!(Arc::strong_count(&source), 1, "{name} after {polls} polls");
    ended
}

/// A close that is dropped drops the loads that it waited for.
#[tokio::test(start_paused = true)]
async fn a_close_may_be_dropped() {
    let class = ClassConfig {
        stale_while_revalidate: ms(60_000),
        ..ten_seconds()
    };
    let config = Config {
        default_class: class,
        ..Config::default()
    };
    let (cache, source) = (cache(&config), Source::new(1));
    cache.insert(key("a"), 0, []);
    tokio::time::advance(ms(10_000)).await;
    source.close();
    let stale = cache.get_or_fetch(&key("a"), load(&source)).await;
    assert!(stale.expect("stale").is_stale());
    settle().await;
    let close = tokio::time::timeout(ms(5), cache.close(ms(1_000))).await;
    assert!(close.is_err());
    settle().await;
    assert_eq!((cache.stats().loading, Arc::strong_count(&source)), (0, 1));
}
