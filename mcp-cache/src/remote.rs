#![doc = include_str!("../docs/remote.md")]

mod codec;
mod config;
mod guard;
mod lease;
mod link;
mod look;
#[cfg(all(test, mcp_loom))]
mod loom_models;
mod message;
mod mirror;
mod node;
mod pending;
mod publisher;
mod record;
mod scope;
mod stats;
mod store;
mod tier;
mod wire;
mod writer;

pub use codec::{RemoteKey, RemoteValue};
pub use config::RemoteConfig;
pub use guard::{Guard, Pass, Pause};
pub use stats::RemoteStats;
pub use store::{Backplane, Feed, Found, Joined, RemoteError, RemoteStore, Stamped};

pub(crate) use node::Node;
pub(crate) use scope::Kind;
use scope::Scope;
pub(crate) use tier::{Binding, Tier};

use crate::{ConfigError, Epochs, Observer, sync::Mutex, sync::lock};
use node::Parts;
use std::{fmt, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How long after a panic what panicked is begun anew.
const PANIC_PAUSE: Duration = Duration::from_millis(100);

/// A second tier that processes share, and their word for what is invalidated.
/// Clones are handles of the same end of it; a process needs one for all its
/// caches.
///
/// What runs in the background (listening, the heartbeat, publishing, storing)
/// ends with the last handle and the last cache that uses it.
#[derive(Clone)]
pub struct Remote {
    pub(crate) node: Arc<Node>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// What a second tier can be given; made by [`Remote::builder`].
pub struct RemoteBuilder {
    parts: Parts,
}

/// How far an invalidation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// All processes: the second tier serves nothing older to anyone, and the
    /// first tiers of the others are on their way to hear it.
    Everywhere,
    /// This process. The others hear of it when the store can be reached; until
    /// then nothing older is served here, and it is kept here alone.
    Local,
}

impl Remote {
    /// Begins a second tier on a service.
    #[must_use]
    pub fn builder(store: Arc<dyn RemoteStore>, plane: Arc<dyn Backplane>) -> RemoteBuilder {
        RemoteBuilder {
            parts: Parts {
                config: RemoteConfig::default(),
                epochs: Arc::default(),
                store,
                plane,
                guard: Arc::new(Pause::default()),
                observer: None,
            },
        }
    }

    /// To be called before the tags are invalidated here.
    pub(crate) fn invalidate_tags<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.node
            .invalidate(names.map(|name| Scope::new(Kind::Tag, name)));
    }

    /// Waits until all that this process has invalidated so far is numbered by
    /// the store; not longer if the last attempt at that failed, or if this end is
    /// closed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn settled(&self) -> Reach {
        let added = self.node.pending.added();
        let mut progress = self.node.progress.subscribe();
        let known = progress.wait_for(|now| now.numbered >= added || now.failing || now.closed);
        match known.await {
            Ok(now) if now.numbered >= added => Reach::Everywhere,
            _ => Reach::Local,
        }
    }

    /// Waits until the messages of the other processes are heard for the first
    /// time; not longer if this end is closed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn connected(&self) {
        let mut heard = self.node.heard.subscribe();
        let mut progress = self.node.progress.subscribe();
        // The senders live as long as the node.
        tokio::select! {
            _ = heard.wait_for(|number| *number > 0) => {}
            _ = progress.wait_for(|now| now.closed) => {}
        }
    }

    /// What the tags of its caches are stamped in.
    #[must_use]
    pub fn epochs(&self) -> &Arc<Epochs> {
        &self.node.epochs
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> RemoteStats {
        let node = &self.node;
        node.counters
            .snapshot(node.pending.len(), node.mirror.applied())
    }

    /// Ends what runs in the background; invalidations that wait are lost to the
    /// other processes, so [`settled`](Self::settled) comes before. The caches go
    /// on with their first tier, one lease after the other.
    pub fn close(&self) {
        lock(&self.tasks).abort_all();
        self.node.mirror.end();
        self.node.progress.send_modify(|now| now.closed = true);
    }
}

impl RemoteBuilder {
    /// How it is used.
    #[must_use]
    pub fn config(mut self, config: &RemoteConfig) -> Self {
        self.parts.config = config.clone();
        self
    }

    /// Tags that are shared with caches outside of the tier; those hear the others'
    /// invalidations of tags and namespaces, and nothing of messages that were
    /// missed.
    #[must_use]
    pub fn epochs(mut self, epochs: Arc<Epochs>) -> Self {
        self.parts.epochs = epochs;
        self
    }

    /// Asks `guard` before every look and every write. Default: [`Pause`].
    #[must_use]
    pub fn guard(mut self, guard: Arc<dyn Guard>) -> Self {
        self.parts.guard = guard;
        self
    }

    /// Tells `observer` what happens ([`Observer::on_remote`]).
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.parts.observer = Some(observer);
        self
    }

    /// Begins to listen and to tell, without waiting for the service.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build(self) -> Result<Remote, ConfigError> {
        self.parts.config.validate()?;
        let node = Arc::new(Node::new(self.parts));
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(Arc::clone(&node), link::run));
        tasks.spawn(keep(Arc::clone(&node), publisher::run));
        tasks.spawn(keep(Arc::clone(&node), writer::run));
        Ok(Remote {
            node,
            tasks: Arc::new(Mutex::new(tasks)),
        })
    }
}

/// Runs `task`, and begins it anew if foreign code panics in it. Both end together.
async fn keep<F>(node: Arc<Node>, task: fn(Arc<Node>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut running = JoinSet::new();
        running.spawn(task(Arc::clone(&node)));
        running.join_next().await;
        node.counters.panics.add_one();
        tokio::time::sleep(PANIC_PAUSE).await;
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBuilder")
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}

/// The body of a message that a new base begins with.
#[cfg(feature = "redis")]
pub(crate) fn forget_message() -> Vec<u8> {
    message::Message::Forget.encode()
}
