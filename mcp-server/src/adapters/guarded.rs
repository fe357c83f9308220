//! A memory store behind a circuit breaker.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use async_trait::async_trait;
use mcp_breaker::{Breaker, CallError, HalfOpenConfig, OpenConfig, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
        Update, Updated,
    },
    ports::MemoryStore,
};

/// How a dependency that fails is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Whether there is a breaker at all. Default true.
    pub enabled: bool,
    /// Failures in a row after which calls are refused at once. Default 5. Lower values react
    /// faster, also to a hiccup. A call that is late, or for which there was no room, is no failure.
    pub failure_threshold: NonZeroU16,
    /// Successful trial calls in a row after which calls are let through again. Default 2.
    pub success_threshold: NonZeroU16,
    /// How long calls are refused before the first trial. Default 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_threshold: NonZeroU16::new(5).expect("5 is not zero"),
            success_threshold: NonZeroU16::new(2).expect("2 is not zero"),
            timeout: Duration::from_secs(60),
        }
    }
}

impl GuardConfig {
    /// What the breaker is told. The timeout is exact: a single dependency needs no jitter, and
    /// trials do not become rarer, since a person may be waiting.
    pub(super) fn breaker(&self) -> mcp_breaker::Config {
        mcp_breaker::Config {
            consecutive_failures: Some(self.failure_threshold.get().into()),
            failure_rate: None,
            open: OpenConfig {
                delay: self.timeout,
                factor: 1.0,
                jitter: 0.0,
                ..OpenConfig::default()
            },
            half_open: HalfOpenConfig {
                successes_to_close: self.success_threshold.get(),
                ..HalfOpenConfig::default()
            },
            ..mcp_breaker::Config::default()
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), mcp_breaker::ConfigError> {
        self.breaker().validate()
    }
}

/// A [`MemoryStore`] that is left alone for a while after it failed several times in a row: calls
/// are then refused at once instead of waiting for a database that does not answer.
///
/// Only what the store itself gets wrong counts as a failure; a caller's mistake never does.
pub struct GuardedStore {
    store: Arc<dyn MemoryStore>,
    breaker: Breaker,
    /// For reads, if they have a breaker of their own.
    reads: Option<Breaker>,
    config: mcp_breaker::Config,
}

impl std::fmt::Debug for GuardedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStore")
            .field("breaker", &self.breaker.stats())
            .finish_non_exhaustive()
    }
}

impl GuardedStore {
    /// A breaker in front of `store`.
    ///
    /// # Errors
    ///
    /// As [`GuardConfig::validate`].
    pub fn new(
        store: Arc<dyn MemoryStore>,
        config: &GuardConfig,
    ) -> Result<Self, mcp_breaker::ConfigError> {
        let config = config.breaker();
        let breaker = Breaker::new(&config)?;
        Ok(Self {
            store,
            breaker,
            reads: None,
            config,
        })
    }

    /// Gives reads a breaker of their own: for a store whose reads go on where its writes fail.
    ///
    /// # Panics
    ///
    /// Never: the settings were good for the first breaker.
    #[must_use]
    pub fn reads_apart(mut self) -> Self {
        self.reads = Some(Breaker::new(&self.config).expect("the settings are good"));
        self
    }

    /// The breaker's counters at this moment.
    #[must_use]
    pub fn stats(&self) -> mcp_breaker::Stats {
        self.breaker.stats()
    }

    /// The same of the breaker of reads, if they have one of their own.
    #[must_use]
    pub fn read_stats(&self) -> Option<mcp_breaker::Stats> {
        self.reads.as_ref().map(Breaker::stats)
    }

    async fn read<T, F>(&self, operation: impl FnOnce() -> F) -> Result<T, MemoryError>
    where
        F: Future<Output = Result<T, MemoryError>>,
    {
        let breaker = self.reads.as_ref().unwrap_or(&self.breaker);
        guarded(breaker, operation).await
    }

    async fn write<T, F>(&self, operation: impl FnOnce() -> F) -> Result<T, MemoryError>
    where
        F: Future<Output = Result<T, MemoryError>>,
    {
        guarded(&self.breaker, operation).await
    }
}

async fn guarded<T, F>(breaker: &Breaker, operation: impl FnOnce() -> F) -> Result<T, MemoryError>
where
    F: Future<Output = Result<T, MemoryError>>,
{
    let done = breaker.call_with(&judge::<T>, operation).await;
    done.map_err(|error| match error {
        CallError::Inner(error) => error,
        refused => MemoryError::Unavailable {
            reason: format!(
                "it failed several times in a row and is left alone for now ({refused})"
            ),
        },
    })
}

fn judge<T>(result: &Result<T, MemoryError>) -> Verdict {
    match result {
        Err(
            MemoryError::Unavailable { .. }
            | MemoryError::OutcomeUnknown { late: false, .. }
            | MemoryError::Internal { .. },
        ) => Verdict::FAILURE,
        // Many callers make a store late, and so does a disk that pauses once: refusing all calls
        // for a while would make it an outage.
        Err(
            MemoryError::Overloaded { .. }
            | MemoryError::Timeout
            | MemoryError::OutcomeUnknown { late: true, .. },
        ) => Verdict::OVERLOAD,
        // What the caller got wrong, the store got right.
        _ => Verdict::SUCCESS,
    }
}

#[async_trait]
impl MemoryStore for GuardedStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.write(|| self.store.add(call, add)).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        self.read(|| self.store.search(call, search)).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        self.read(|| self.store.get(call, get)).await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.write(|| self.store.update(call, update)).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.write(|| self.store.delete(call, delete)).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        match operations.iter().all(Operation::is_read) {
            true => self.read(|| self.store.batch(call, operations)).await,
            false => self.write(|| self.store.batch(call, operations)).await,
        }
    }
}
