//! Events: what they invalidate, and who hears of them.

use crate::support::{Source, Texts, key, load, ms, settle, ten_seconds, with_class};
use async_trait::async_trait;
use mcp_cache::{
    CacheEventBus, CacheEventSubscriber, CacheInvalidationEvent as Event, CacheTags,
    SubscriptionStats,
};
use std::{
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Semaphore;

fn bus(cache: &Texts, capacity: usize) -> CacheEventBus {
    let capacity = NonZero::new(capacity).expect("not zero");
    CacheEventBus::new(Arc::clone(cache.epochs()), capacity)
}

fn numbered(n: usize) -> Event {
    Event::Custom {
        name: n.to_string(),
        tags: CacheTags::NONE,
    }
}

/// Keeps what it hears.
#[derive(Default)]
struct Log(Mutex<Vec<Event>>);

impl Log {
    fn names(&self) -> Vec<String> {
        let events = self.0.lock().expect("no panic");
        let name = |event: &Event| match event {
            Event::Custom { name, .. } => name.clone(),
            other => format!("{other:?}"),
        };
        events.iter().map(name).collect()
    }
}

#[async_trait]
impl CacheEventSubscriber for Log {
    async fn on_cache_event(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

/// Each event takes a permit.
struct Slow(Arc<Semaphore>, Log);

#[async_trait]
impl CacheEventSubscriber for Slow {
    async fn on_cache_event(&self, event: &Event) {
        self.0.acquire().await.expect("open").forget();
        self.1.on_cache_event(event).await;
    }
}

/// Panics before its first await, or after.
struct Panics(bool);

#[async_trait]
impl CacheEventSubscriber for Panics {
    async fn on_cache_event(&self, _: &Event) {
        if self.0 {
            tokio::task::yield_now().await;
        }
        panic!("on purpose");
    }
}

/// Panics while it makes the future.
struct PanicsAtOnce;

impl CacheEventSubscriber for PanicsAtOnce {
    fn on_cache_event<'a, 'b, 'c>(
        &'a self,
        _: &'b Event,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn test_cache_invalidation_events() {
    let rows: [(Event, &[&str]); 5] = [
        (
            Event::ToolStateChanged {
                tool_name: "search".into(),
            },
            &["tool:search"],
        ),
        (
            Event::AgentCreated {
                agent_id: "7".into(),
            },
            &["agents", "swarm_status", "agent:7"],
        ),
        (
            Event::TaskCompleted {
                task_id: "t".into(),
            },
            &["tasks", "agent_workload", "task:t"],
        ),
        (
            Event::SwarmScaled {
                swarm_id: "s".into(),
            },
            &["swarm_status", "agents", "swarm:s"],
        ),
        (
            Event::Custom {
                name: "deploy".into(),
                tags: ["config", "tools"].into(),
            },
            &["config", "tools"],
        ),
    ];
    let cache = with_class(ten_seconds());
    let bus = bus(&cache, 16);
    let log = Arc::new(Log::default());
    let subscription = bus.subscribe(log.clone());
    for (event, tags) in rows {
        assert_eq!(event.tags().iter().collect::<Vec<_>>(), tags);
        let text = serde_json::to_string(&event).expect("text");
        assert_eq!(
            serde_json::from_str::<Event>(&text).expect("an event"),
            event
        );
        for tag in tags {
            cache.insert(key(tag), 1, [*tag]);
        }
        cache.insert(key("other"), 1, ["other"]);
        bus.publish(event);
        assert!(
            tags.iter().all(|tag| cache.try_get(*tag).is_none()),
            "{tags:?}"
        );
        assert_eq!(cache.try_get("other"), Some(1));
    }
    assert_eq!(subscription.close().await.delivered, 5);
    assert_eq!((log.names().len(), bus.published()), (5, 5));
}

/// A load in flight when the event came is not served to those who came later.
#[tokio::test(start_paused = true)]
async fn an_event_dooms_loads_in_flight() {
    let (cache, source) = (with_class(ten_seconds()), Source::slow(1, 100));
    let early = {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move {
            let load = move || source.read_tagged("tool:a");
            cache
                .get_or_fetch(&key("a"), load)
                .await
                .expect("loaded")
                .value
        })
    };
    settle().await;
    source.set(2);
    bus(&cache, 1).publish(Event::ToolStateChanged {
        tool_name: "a".into(),
    });
    assert_eq!(early.await.expect("no panic"), 1);
    assert_eq!(cache.try_get("a"), None);
    let late = cache.get_or_fetch(&key("a"), load(&source)).await;
    assert_eq!(late.expect("loaded").value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_or_panicking_subscriber_holds_nobody_up() {
    let cache = with_class(ten_seconds());
    let bus = bus(&cache, 4);
    let gate = Arc::new(Semaphore::new(0));
    let (slow, quick) = (
        Arc::new(Slow(Arc::clone(&gate), Log::default())),
        Arc::new(Log::default()),
    );
    let of_slow = bus.subscribe(slow.clone());
    let panicking = [
        bus.subscribe(Arc::new(Panics(false))),
        bus.subscribe(Arc::new(Panics(true))),
        bus.subscribe(Arc::new(PanicsAtOnce)),
    ];
    let of_quick = bus.subscribe(quick.clone());
    for n in 0..5 {
        cache.insert(key("a"), 1, ["tool:a"]);
        bus.publish(numbered(n));
        bus.publish(Event::ToolStateChanged {
            tool_name: "a".into(),
        });
        assert_eq!(cache.try_get("a"), None, "however slow they are");
        settle().await;
    }
    let stats = |delivered, lagged, panicked| (delivered, lagged, panicked);
    let of = |stats: SubscriptionStats| (stats.delivered, stats.lagged, stats.panicked);
    assert_eq!(of(of_quick.stats()), stats(10, 0, 0));
    assert_eq!(of(of_slow.stats()), stats(0, 0, 0), "it has not looked yet");
    for subscription in panicking {
        assert_eq!(of(subscription.close().await), stats(0, 0, 10));
    }
    gate.add_permits(1_000);
    settle().await;
    // One was in its hands, four were kept.
    assert_eq!(of(of_slow.stats()), stats(5, 5, 0));
    assert_eq!(slow.1.names().first().map(String::as_str), Some("0"));
    assert_eq!(quick.names().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_owns_its_task() {
    let cache = with_class(ten_seconds());
    let bus = bus(&cache, 64);
    let log = Arc::new(Log::default());

    // Closing delivers what is queued, and nothing that comes later.
    let gate = Arc::new(Semaphore::new(0));
    let slow = Arc::new(Slow(Arc::clone(&gate), Log::default()));
    let subscription = bus.subscribe(slow.clone());
    (0..3).for_each(|n| bus.publish(numbered(n)));
    settle().await;
    let closing = tokio::spawn(subscription.close());
    gate.add_permits(1);
    settle().await;
    (3..6).for_each(|n| bus.publish(numbered(n)));
    gate.add_permits(10);
    assert_eq!(closing.await.expect("no panic").delivered, 3);
    assert_eq!(slow.1.names(), ["0", "1", "2"]);

    // Dropping it stops the task where it waits.
    let dropped = bus.subscribe(Arc::new(Slow(Arc::new(Semaphore::new(0)), Log::default())));
    let subscriber: Arc<Log> = log.clone();
    let kept = bus.subscribe(subscriber);
    bus.publish(numbered(6));
    settle().await;
    drop(dropped);
    settle().await;
    assert!(format!("{bus:?}").contains("subscribers: 1"), "{bus:?}");

    // The bus is gone: the task ends by itself.
    drop(bus);
    settle().await;
    assert_eq!(
        (kept.close().await.delivered, Arc::strong_count(&log)),
        (1, 1)
    );
}

/// Closing a subscriber that lags far behind ends, whatever is published meanwhile.
#[tokio::test(start_paused = true)]
async fn closing_ends_although_events_keep_coming() {
    let cache = with_class(ten_seconds());
    let bus = bus(&cache, 4);
    let gate = Arc::new(Semaphore::new(0));
    let subscription = bus.subscribe(Arc::new(Slow(Arc::clone(&gate), Log::default())));
    settle().await;
    (0..100).for_each(|n| bus.publish(numbered(n)));
    settle().await;
    let stop = Arc::new(AtomicBool::new(false));
    let storm = {
        let (bus, stop) = (bus.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                bus.publish(numbered(0));
                tokio::time::sleep(ms(1)).await;
            }
        })
    };
    gate.add_permits(1_000_000);
    let stats = subscription.close().await;
    assert!(stats.lagged >= 95 && stats.delivered <= 6, "{stats:?}");
    stop.store(true, Ordering::Relaxed);
    storm.await.expect("no panic");
}
