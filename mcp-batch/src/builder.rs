//! Making a processor.

use crate::{
    BatchProcessor, Config, ConfigError, Observer,
    core::{Core, Limits},
    dedup::Dedup,
    foreign::caught,
    inner::{Function, Inner, Measure},
    sizer::Sizer,
    stats::History,
};
use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    time::Instant,
};

/// What a processor can be given besides its configuration and its function;
/// made by [`BatchProcessor::builder`].
pub struct Builder<T, O, E> {
    config: Config,
    lane_of: Option<Measure<T>>,
    bytes_of: Option<Measure<T>>,
    dedup: Option<Dedup<T, O, E>>,
    observer: Option<Arc<dyn Observer>>,
}

impl<T, O, E> Builder<T, O, E> {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            lane_of: None,
            bytes_of: None,
            dedup: None,
            observer: None,
        }
    }

    /// Puts items into lanes by number: a batch holds items of one lane only,
    /// within a lane items start in the order in which they came, and lanes that
    /// have items take turns. Without it there is one lane.
    #[must_use]
    pub fn lane_by(mut self, lane_of: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        self.lane_of = Some(Box::new(lane_of));
        self
    }

    /// Says how many bytes an item weighs; read only with
    /// [`Config::batch_bytes_max`].
    #[must_use]
    pub fn weigh_by(mut self, bytes_of: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        self.bytes_of = Some(Box::new(bytes_of));
        self
    }

    /// Gives equal items of one batch to the function once, and clones the
    /// result for each.
    #[must_use]
    pub fn dedup(mut self) -> Self
    where
        T: Hash + Eq,
        O: Clone,
        E: Clone,
    {
        self.dedup = Some(Dedup::new());
        self
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes the processor, whose batches run on the current tokio runtime.
    /// `function` is given 1 to [`Config::max_batch_size`] items and returns
    /// one result for each, in their order.
    ///
    /// The function must not wait for an item of its own processor: that item
    /// may need the very slot that waits for it. It must not keep a handle
    /// either, which would keep the processor, and so the function, for ever;
    /// a handle that is sent to another task does no harm.
    ///
    /// # Errors
    /// A field of the configuration makes no sense, there is no runtime, or its
    /// timer is not enabled (the field is then `runtime`).
    pub fn build<F>(
        self,
        function: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Result<BatchProcessor<T, O, E>, ConfigError>
    where
        F: Future<Output = Vec<Result<O, E>>> + Send + 'static,
    {
        self.config.validate()?;
        let runtime = Handle::try_current().map_err(|_| ConfigError {
            field: "runtime",
            reason: "there is none: build the processor inside of tokio",
        })?;
        // Without a timer, this panics and the window would never end.
        if caught(|| drop(tokio::time::sleep(Duration::ZERO))).is_none() {
            return Err(ConfigError {
                field: "runtime",
                reason: "has no timer: build it with enable_time",
            });
        }
        let limits = Limits {
            slots: self.config.max_concurrent_batches,
            window_ns: u64::try_from(self.config.window.as_nanos()).unwrap_or(u64::MAX),
            bytes_max: self.config.batch_bytes_max,
            passes_max: self.config.gather_passes_max,
        };
        let sizer = Sizer::new(self.config.sizer_rules());
        let history = History::new(self.config.history_len);
        Ok(BatchProcessor(Arc::new(Inner {
            core: Core::new(limits, sizer, history),
            function: boxed(function),
            lane_of: self.lane_of,
            bytes_of: self.bytes_of.filter(|_| limits.bytes_max.is_some()),
            dedup: self.dedup,
            observer: self.observer,
            room: Arc::new(Semaphore::new(self.config.queue_len_max)),
            settled: Notify::new(),
            overloaded: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            origin: Instant::now(),
            runtime,
            config: self.config,
        })))
    }
}

pub(crate) fn boxed<T, O, E, F>(
    function: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
) -> Function<T, O, E>
where
    F: Future<Output = Vec<Result<O, E>>> + Send + 'static,
{
    Arc::new(move |items| Box::pin(function(items)))
}

impl<T, O, E> fmt::Debug for Builder<T, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
