//! The pool that callers hold.

use crate::{
    builder::Builder,
    clock::to_ns,
    config::{CONNECTIONS_MAX, Config},
    error::{ConfigError, Error},
    lease::{Lease, Owner},
    manager::Manager,
    shared::Shared,
    state::Look,
    stats::Stats,
    tasks::{self, Held},
    wait::Wait,
};
use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

/// A pool of connections; clones share it.
///
/// It runs in the tokio runtime in which it was built, which needs its timer
/// enabled, and closes with it. When all clones and leases are gone, the idle
/// connections are closed.
pub struct Pool<M: Manager>(pub(crate) Arc<Shared<M>>);

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager> Pool<M> {
    /// A pool of what `manager` makes.
    ///
    /// # Errors
    /// The configuration makes no sense.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(config: &Config, manager: M) -> Result<Self, ConfigError> {
        Self::builder(config).build(manager)
    }

    /// For what no configuration file can say.
    pub fn builder(config: &Config) -> Builder {
        Builder::new(config)
    }

    /// A connection; waits for up to
    /// [`acquire_timeout`](Config::acquire_timeout).
    ///
    /// The most recently used idle one, if there is one. Otherwise callers
    /// are served in the order in which they came, each by whichever is first:
    /// a connection that comes back, or a new one.
    ///
    /// # Cancel safety
    /// A caller that goes away leaves the queue. What it was about to be given
    /// goes to the next one, and a connect that was begun for it goes on.
    ///
    /// # Errors
    /// None was free in time, too many wait, a connect failed for good, or the
    /// pool is closed.
    pub async fn get(&self) -> Result<Lease<'_, M>, Error> {
        Wait::new(Owner::Borrowed(&self.0), self.0.acquire_ns).await
    }

    /// As [`get`](Self::get), for a lease that outlives this handle. Costs two
    /// atomic writes more.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_owned(&self) -> Result<Lease<'static, M>, Error> {
        Wait::new(Owner::Owned(Arc::clone(&self.0)), self.0.acquire_ns).await
    }

    /// As [`get`](Self::get), waiting for up to `limit`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_timeout(&self, limit: Duration) -> Result<Lease<'_, M>, Error> {
        Wait::new(Owner::Borrowed(&self.0), to_ns(limit)).await
    }

    /// An idle connection, if one is at hand that needs no check; never waits
    /// and starts nothing.
    #[must_use]
    pub fn try_get(&self) -> Option<Lease<'_, M>> {
        let slot = self.0.try_lend()?;
        Some(Lease::new(Owner::Borrowed(&self.0), slot))
    }

    /// As [`try_get`](Self::try_get), for a lease that outlives this handle.
    #[must_use]
    pub fn try_get_owned(&self) -> Option<Lease<'static, M>> {
        let slot = self.0.try_lend()?;
        Some(Lease::new(Owner::Owned(Arc::clone(&self.0)), slot))
    }

    /// Checks every idle connection, at most
    /// [`max_connecting`](Config::max_connecting) at a time, and closes those
    /// that do not pass. The others can be lent meanwhile.
    ///
    /// # Cancel safety
    /// When it is dropped, the checks at work go on and no further one begins.
    pub async fn health_check(&self) -> HealthReport {
        let shared = &self.0;
        let round = shared.core.lock().begin_round();
        let mut report = HealthReport::default();
        let mut checks = VecDeque::new();
        loop {
            if checks.len() < shared.config.max_connecting {
                let next = shared.core.lock().begin_check(round);
                if let Some(slot) = next {
                    checks.push_back(tasks::check(shared, slot));
                    continue;
                }
            }
            let Some(check) = checks.pop_front() else {
                return report;
            };
            match check.await {
                Ok(true) => report.passed += 1,
                Ok(false) | Err(_) => report.removed += 1,
            }
        }
    }

    /// Closes the idle connections that `keep` does not want to keep; they
    /// cannot be lent while it looks at them.
    pub fn retain(&self, mut keep: impl FnMut(&mut M::Connection) -> bool) {
        let slots = self.0.core.lock().begin_look();
        let held: Vec<_> = slots
            .into_iter()
            .map(|slot| Held::new(&self.0, slot))
            .collect();
        for mut held in held {
            let kept = held.slot().is_some_and(|slot| keep(&mut slot.connection));
            held.put(if kept { Look::Kept } else { Look::Dismissed });
        }
    }

    /// Sets [`max_connections`](Config::max_connections). What is too many is
    /// closed: idle ones at once, least recently used first, lent ones when
    /// they come back.
    ///
    /// # Errors
    /// `max` is 0 or too large.
    pub fn resize(&self, max: usize) -> Result<(), ConfigError> {
        let fits = (1..=CONNECTIONS_MAX).contains(&max);
        if !fits {
            return Err(ConfigError {
                field: "max_connections",
                reason: "must be 1 to 65536",
            });
        }
        let todo = self.0.core.lock().resize(max, self.0.now_ns());
        self.0.act(todo);
        Ok(())
    }

    /// Lends nothing until [`resume`](Self::resume): callers wait, as long as
    /// they are ready to. What is lent comes back and stays.
    pub fn pause(&self) {
        self.0.core.lock().pause();
    }

    /// Lends again.
    pub fn resume(&self) {
        let todo = self.0.core.lock().resume(self.0.now_ns());
        self.0.act(todo);
    }

    /// Closes the pool: who waits or comes gets [`Error::Closed`], idle
    /// connections are closed. Returns when all that were lent have come back.
    ///
    /// # Cancel safety
    /// The pool is closed from the first poll on; dropping this only ends the
    /// wait.
    pub async fn close(&self) {
        self.begin_close();
        let shared = &self.0;
        loop {
            let drained = shared.drained.notified();
            tokio::pin!(drained);
            // From here on no ring is missed.
            drained.as_mut().enable();
            if shared.core.lock().is_drained() {
                return;
            }
            drained.await;
        }
    }

    pub(crate) fn begin_close(&self) {
        let todo = self.0.core.lock().close();
        self.0.act(todo);
    }

    /// Whether nobody else has a handle: no user, no lease, no task at work.
    pub(crate) fn is_only_here(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.core.lock().is_closed()
    }

    /// A snapshot of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.core.lock().stats(self.0.waits.snapshot())
    }

    /// Why the last connect failed, if none has worked since.
    #[must_use]
    pub fn last_connect_error(&self) -> Option<Arc<crate::Cause>> {
        self.0.core.lock().last_cause()
    }

    /// What makes the connections.
    #[must_use]
    pub fn manager(&self) -> &M {
        &self.0.manager
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// What a round of [`health_check`](Pool::health_check) found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthReport {
    /// Connections that are alive.
    pub passed: usize,
    /// Connections that were closed.
    pub removed: usize,
}
