//! What no configuration file can say.

use crate::{
    cap::Under,
    clock::{Clock, to_ns},
    config::Config,
    core::Core,
    error::ConfigError,
    histogram::Waits,
    manager::Manager,
    observer::{Observer, Silence},
    pool::Pool,
    random::Random,
    shared::Shared,
    state::State,
    tasks,
};
use std::{
    fmt,
    sync::{Arc, Weak},
};
use tokio::{runtime::Handle, sync::Notify};

/// Makes a [`Pool`].
#[must_use]
pub struct Builder {
    config: Config,
    observer: Arc<dyn Observer>,
}

impl Builder {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            observer: Arc::new(Silence),
        }
    }

    /// Tells `observer` what happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Starts the pool, and the connects for
    /// [`min_connections`](Config::min_connections).
    ///
    /// # Errors
    /// The configuration makes no sense.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build<M: Manager>(self, manager: M) -> Result<Pool<M>, ConfigError> {
        self.config.validate()?;
        Ok(self.start(manager, None, Clock::start()))
    }

    /// As a member of a set, whose configuration is valid.
    pub(crate) fn build_under<M: Manager>(self, manager: M, under: Under, clock: Clock) -> Pool<M> {
        let (cap, class) = (Arc::clone(&under.cap), under.class);
        let pool = self.start(manager, Some(under), clock);
        let member: Weak<Shared<M>> = Arc::downgrade(&pool.0);
        cap.join(class, member);
        pool
    }

    fn start<M: Manager>(self, manager: M, under: Option<Under>, clock: Clock) -> Pool<M> {
        let state = State::new(self.config.limits(), Random::seeded());
        let shared = Arc::new(Shared {
            core: Core::new(state),
            manager: Arc::new(manager),
            clock,
            waits: Waits::default(),
            acquire_ns: to_ns(self.config.acquire_timeout),
            config: self.config,
            runtime: Handle::current(),
            bell: Arc::new(Notify::new()),
            drained: Notify::new(),
            observer: self.observer,
            under,
        });
        tasks::keep(&shared);
        Pool(shared)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
