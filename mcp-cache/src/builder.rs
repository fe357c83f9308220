//! Making a cache.

use crate::{
    Bounds, Cache, Config, ConfigError, Epochs, Observer, Remote, RemoteKey, RemoteValue, Store,
    Weigh,
    classes::Classes,
    clock::Clock,
    failures::Failures,
    flight::Flights,
    inner::{Differs, Inner, WeighEntry},
    remote::{Binding, Node, Tier},
    stats::Counters,
    sweep,
    sync::Mutex,
    tag_stats::TagCounters,
    tasks::Tasks,
};
use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::AtomicBool},
};

/// What a cache can be given besides its configuration; made by
/// [`Cache::builder`].
pub struct Builder<K, V> {
    config: Config,
    epochs: Option<Arc<Epochs>>,
    weigh: WeighEntry<K, V>,
    differs: Option<Differs<V>>,
    observer: Option<Arc<dyn Observer>>,
    binding: Option<Binding<K, V>>,
}

impl<K, V> Builder<K, V> {
    pub(crate) fn new(config: Config) -> Self
    where
        K: Weigh,
        V: Weigh,
    {
        Self::weighing(config, |key, value| {
            key.heap_bytes().saturating_add(value.heap_bytes())
        })
    }

    pub(crate) fn weighing(
        config: Config,
        heap_bytes: impl Fn(&K, &V) -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            epochs: None,
            weigh: Box::new(heap_bytes),
            differs: None,
            observer: None,
            binding: None,
        }
    }

    /// Shares tags with other caches: invalidating one reaches the entries of
    /// all of them. Without this the cache has its own.
    #[must_use]
    pub fn epochs(mut self, epochs: Arc<Epochs>) -> Self {
        self.epochs = Some(epochs);
        self
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Gives the cache a second tier, in which its values are kept under `name`:
    /// the same in every process, another one for every cache. Its tags are
    /// those of the tier, and so is its clock.
    #[must_use]
    pub fn remote(mut self, remote: &Remote, name: &str) -> Self
    where
        K: RemoteKey,
        V: RemoteValue,
    {
        self.binding = Some(Binding::new(remote.clone(), name));
        self
    }

    /// Compares values, which an adaptive time to live needs.
    #[must_use]
    pub fn compare(self) -> Self
    where
        V: PartialEq,
    {
        self.compare_by(|old, new| old != new)
    }

    /// As [`compare`](Self::compare); `differs` says whether a value is another
    /// one than the one before, for values that carry a revision.
    #[must_use]
    pub fn compare_by(mut self, differs: impl Fn(&V, &V) -> bool + Send + Sync + 'static) -> Self {
        self.differs = Some(Box::new(differs));
        self
    }

    /// Makes the cache. Inside of a tokio runtime it sweeps by itself; elsewhere
    /// [`Cache::sweep`] does.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    pub fn build(self) -> Result<Cache<K, V>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let config = self.config;
        config.validate()?;
        crate::error::check(
            self.differs.is_some() || !config.is_adaptive(),
            "adaptive",
            "needs values to be compared: call Builder::compare",
        )?;
        let bounds = Bounds {
            bytes_max: config.bytes_max,
            entries_max: config.entries_max,
            shards: None,
        };
        let mut clock = Clock::start(config.clock);
        let mut epochs = self.epochs.unwrap_or_default();
        let node = self
            .binding
            .as_ref()
            .map(|binding| Arc::clone(&binding.remote.node));
        if let Some(node) = &node {
            (clock, epochs) = (node.clock(), Arc::clone(node.epochs()));
        }
        let name = self.binding.as_ref().map(|binding| binding.name.clone());
        let classes = Classes::new(&config);
        let keeps_errors = classes.keep_errors();
        let inner = Arc::new(Inner {
            store: Store::new(&bounds, epochs),
            flights: Flights::new(),
            classes,
            clock,
            bypass: AtomicBool::new(config.bypass),
            bypass_switch: Mutex::new(()),
            counters: Counters::default(),
            observer: self.observer,
            failures: keeps_errors.then(|| Failures::new(config.errors_max)),
            tag_counters: (config.tag_stats_max > 0)
                .then(|| TagCounters::new(config.tag_stats_max)),
            weigh: self.weigh,
            differs: self.differs,
            hasher: hashbrown::DefaultHashBuilder::default(),
            tier: self.binding.map(Tier::new),
        });
        if let Some((node, name)) = node.zip(name) {
            register(&node, &name, &inner)?;
        }
        let mut tasks = Tasks::new(config.background_max);
        if let Some(interval) = config.sweep_interval {
            tasks.sweep(sweep::run(Arc::clone(&inner), interval));
        }
        Ok(Cache {
            inner,
            tasks: Arc::new(tasks),
        })
    }
}

fn register<K, V>(node: &Node, name: &str, inner: &Arc<Inner<K, V>>) -> Result<(), ConfigError>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    crate::error::check(
        !name.is_empty() && !name.contains(':'),
        "remote",
        "needs a name without a colon",
    )?;
    let inner = Arc::downgrade(inner);
    crate::error::check(
        node.register(name, inner),
        "remote",
        "has a cache of this name in this process already",
    )
}

impl<K, V> fmt::Debug for Builder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
