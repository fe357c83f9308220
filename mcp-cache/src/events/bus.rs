//! The bus: invalidates at once, then tells whoever listens.

use super::{CacheInvalidationEvent, Subscription};
use crate::{Epochs, Remote, Tag};
use async_trait::async_trait;
use std::{
    fmt,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::broadcast;

/// Hears of events, after the invalidation.
#[async_trait]
pub trait CacheEventSubscriber: Send + Sync {
    /// An event happened. What it invalidates is invalidated already.
    ///
    /// However long it takes, and if it panics, neither the one who published
    /// nor any other subscriber notices.
    async fn on_cache_event(&self, event: &CacheInvalidationEvent);
}

/// Carries events to the caches of one [`Epochs`] and to subscribers. Clones are
/// handles of the same bus.
///
/// ```
/// use async_trait::async_trait;
/// use mcp_cache::{CacheEventBus, CacheEventSubscriber, CacheInvalidationEvent, Cache, Config};
/// use std::{num::NonZero, sync::Arc};
///
/// struct Log;
///
/// #[async_trait]
/// impl CacheEventSubscriber for Log {
///     async fn on_cache_event(&self, event: &CacheInvalidationEvent) {
///         assert_eq!(event.tags().iter().last(), Some("agent:7"));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache: Cache<String, u32> = Cache::new(&Config::default())?;
/// let bus = CacheEventBus::new(Arc::clone(cache.epochs()), NonZero::new(64).expect("not zero"));
/// let log = bus.subscribe(Arc::new(Log));
///
/// cache.insert("agents of the swarm".into(), 3, ["agents"]);
/// bus.publish(CacheInvalidationEvent::AgentCreated { agent_id: "7".into() });
/// assert_eq!(cache.try_get("agents of the swarm"), None, "gone when publish returns");
/// assert_eq!(log.close().await.delivered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CacheEventBus(Arc<Bus>);

struct Bus {
    epochs: Arc<Epochs>,
    remote: Option<Remote>,
    published: AtomicU64,
    sender: broadcast::Sender<Arc<CacheInvalidationEvent>>,
}

impl CacheEventBus {
    /// A bus that invalidates in `epochs` and keeps the last `capacity` events
    /// (rounded up to a power of two, at most 65,536) for slow subscribers.
    #[must_use]
    pub fn new(epochs: Arc<Epochs>, capacity: NonZero<usize>) -> Self {
        Self::made(epochs, None, capacity)
    }

    /// As [`new`](Self::new), for the caches of a second tier: what is published
    /// here is invalidated in all processes. Its subscribers are this process's.
    #[must_use]
    pub fn with_remote(remote: &Remote, capacity: NonZero<usize>) -> Self {
        Self::made(Arc::clone(remote.epochs()), Some(remote.clone()), capacity)
    }

    fn made(epochs: Arc<Epochs>, remote: Option<Remote>, capacity: NonZero<usize>) -> Self {
        Self(Arc::new(Bus {
            epochs,
            remote,
            published: AtomicU64::new(0),
            sender: broadcast::Sender::new(capacity.get().min(1 << 16)),
        }))
    }

    /// Invalidates the event's tags, then queues it for the subscribers and
    /// returns; waits for nobody.
    pub fn publish(&self, event: CacheInvalidationEvent) {
        let tags = event.tags();
        if let Some(remote) = &self.0.remote {
            remote.invalidate_tags(tags.iter());
        }
        let tags: Vec<Tag> = tags.iter().map(|name| self.0.epochs.tag(name)).collect();
        self.0.epochs.invalidate(&tags);
        self.0.published.fetch_add(1, Ordering::Relaxed);
        // An error means that nobody listens, which is not one here.
        let _ = self.0.sender.send(Arc::new(event));
    }

    /// Calls `subscriber` with every event from now on, one after the other, on
    /// a task of its own that ends with the [`Subscription`] or the bus. One that
    /// is `capacity` events behind loses the oldest.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn subscribe(&self, subscriber: Arc<dyn CacheEventSubscriber>) -> Subscription {
        Subscription::start(self.0.sender.subscribe(), subscriber)
    }

    /// What it invalidates in.
    #[must_use]
    pub fn epochs(&self) -> &Arc<Epochs> {
        &self.0.epochs
    }

    /// Events published since the start.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.0.published.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for CacheEventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheEventBus")
            .field("published", &self.published())
            .field("subscribers", &self.0.sender.receiver_count())
            .finish_non_exhaustive()
    }
}
