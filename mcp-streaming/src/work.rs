//! A bound on work done at once, beside the bound on bytes.

use crate::{
    ConfigError,
    config::{check, check_time},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, timeout},
};

/// What a [`ResourcePool`] can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// How many may work at once. Default 64.
    pub permits: usize,
    /// How many may wait for their turn; whoever comes then is refused at once.
    /// Default 1,024. Raising it turns refusals into latency.
    pub queue_len_max: usize,
    /// How long one may wait. Default `10s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub wait_max: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            permits: 64,
            queue_len_max: 1_024,
            wait_max: Duration::from_secs(10),
        }
    }
}

impl PoolConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(self.permits >= 1, "permits", "must be at least 1")?;
        check(
            self.permits <= 1 << 20,
            "permits",
            "must be at most 1048576",
        )?;
        check(
            self.queue_len_max <= 1 << 20,
            "queue_len_max",
            "must be at most 1048576",
        )?;
        check_time(self.wait_max, "wait_max")
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// All permits are out, and as many wait as may.
    #[error("resource exhausted: {permits} at work and {waiting} waiting")]
    Exhausted {
        /// Permits of the pool.
        permits: usize,
        /// How many wait.
        waiting: usize,
    },
    /// The turn did not come in time.
    #[error("resource exhausted: no turn in {waited:?} among {permits} permits")]
    TimedOut {
        /// How long it waited.
        waited: Duration,
        /// Permits of the pool.
        permits: usize,
    },
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
}

impl PoolError {
    /// Whether it may go another time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// A pool's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// Permits of the pool.
    pub permits: usize,
    /// Permits that are out.
    pub in_use: usize,
    /// How many wait.
    pub waiting: usize,
    /// Permits given out since the start.
    pub granted: u64,
    /// Refused at once since the start.
    pub refused: u64,
    /// Refused after a wait since the start.
    pub timed_out: u64,
}

/// So many may work at once, and so many wait, in the order in which they came.
/// Clones are handles of the same pool.
#[derive(Debug, Clone)]
pub struct ResourcePool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: PoolConfig,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    granted: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
}

/// The right to work. Dropping it gives it to the next one.
#[derive(Debug)]
#[must_use = "a permit that is dropped is the next one's"]
pub struct WorkPermit {
    _permit: OwnedSemaphorePermit,
}

impl ResourcePool {
    /// A pool.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    pub fn new(config: &PoolConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(config.permits)),
            config: config.clone(),
            waiting: AtomicUsize::new(0),
            granted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        })))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// Too many wait already, the turn did not come in time, or the pool is
    /// closed.
    ///
    /// # Cancel safety
    /// A dropped future gives its turn to the next one.
    pub async fn acquire(&self) -> Result<WorkPermit, PoolError> {
        match self.try_acquire() {
            Err(PoolError::Exhausted { .. }) => {}
            result => return result,
        }
        let _waiting = self.join()?;
        let (start, pool) = (Instant::now(), &self.0);
        let turn = Arc::clone(&pool.permits).acquire_owned();
        match timeout(pool.config.wait_max, turn).await {
            Ok(permit) => Ok(self.grant(permit.map_err(|_| PoolError::Closed)?)),
            Err(_) => {
                pool.timed_out.fetch_add(1, Ordering::Relaxed);
                Err(PoolError::TimedOut {
                    waited: start.elapsed(),
                    permits: pool.config.permits,
                })
            }
        }
    }

    /// A permit, if there is one now and nobody waits for it. A refusal here is
    /// not counted: it is the caller's question.
    ///
    /// # Errors
    /// There is none, or the pool is closed.
    pub fn try_acquire(&self) -> Result<WorkPermit, PoolError> {
        match Arc::clone(&self.0.permits).try_acquire_owned() {
            Ok(permit) => Ok(self.grant(permit)),
            Err(TryAcquireError::Closed) => Err(PoolError::Closed),
            Err(TryAcquireError::NoPermits) => Err(PoolError::Exhausted {
                permits: self.0.config.permits,
                waiting: self.0.waiting.load(Ordering::Relaxed),
            }),
        }
    }

    /// Does `work` with a permit.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); `work` was not begun.
    ///
    /// # Cancel safety
    /// A dropped future drops `work` and gives the permit back.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, PoolError> {
        let _permit = self.acquire().await?;
        Ok(work.await)
    }

    /// Gives no more permits; who waits is told. Work goes on.
    pub fn close(&self) {
        self.0.permits.close();
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let pool = &self.0;
        PoolStats {
            permits: pool.config.permits,
            in_use: pool.config.permits - pool.permits.available_permits(),
            waiting: pool.waiting.load(Ordering::Relaxed),
            granted: pool.granted.load(Ordering::Relaxed),
            refused: pool.refused.load(Ordering::Relaxed),
            timed_out: pool.timed_out.load(Ordering::Relaxed),
        }
    }

    fn grant(&self, permit: OwnedSemaphorePermit) -> WorkPermit {
        self.0.granted.fetch_add(1, Ordering::Relaxed);
        WorkPermit { _permit: permit }
    }

    fn join(&self) -> Result<Waiting<'_>, PoolError> {
        let limit = self.0.config.queue_len_max;
        let more = |waiting| (waiting < limit).then_some(waiting + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.0.waiting.fetch_update(set, fetch, more) {
            Ok(_) => Ok(Waiting(&self.0.waiting)),
            Err(waiting) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                let permits = self.0.config.permits;
                Err(PoolError::Exhausted { permits, waiting })
            }
        }
    }
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
