//! A store of contexts that answers in time, and is left alone while it fails.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mcp_breaker::{Breaker, CallError, ConfigError, Verdict};
use tokio::time::{Instant, timeout_at};

use super::{GuardConfig, guarded};
use crate::{
    call::Call,
    context::{ContextChanges, ContextError, ContextKey, Get, Kept, List, Listed, Put},
    memory::MemoryError,
    ports::ContextStore,
};

/// How long after its deadline a store may still say what became of a put.
const GRACE: Duration = Duration::from_millis(5);

/// A [`ContextStore`] whose operations have a deadline, which the store knows of, and two circuit
/// breakers: one for puts and one for reads, which may go on where puts fail. What is counted and
/// read ahead in the background has neither.
pub struct SteadyContexts {
    store: Arc<dyn ContextStore>,
    timeout: Duration,
    /// `None`: no breakers.
    breakers: Option<Breakers>,
}

#[derive(Debug)]
struct Breakers {
    puts: Breaker,
    reads: Breaker,
}

impl std::fmt::Debug for SteadyContexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteadyContexts")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl SteadyContexts {
    /// Gives every operation of `store` this much time.
    ///
    /// # Errors
    ///
    /// As [`GuardConfig::validate`].
    pub fn new(
        store: Arc<dyn ContextStore>,
        timeout: Duration,
        config: &GuardConfig,
    ) -> Result<Self, ConfigError> {
        let breaker = || Breaker::new(&config.breaker());
        let breakers = match config.enabled {
            true => Some(Breakers {
                puts: breaker()?,
                reads: breaker()?,
            }),
            false => None,
        };
        Ok(Self {
            store,
            timeout,
            breakers,
        })
    }

    /// The call with its deadline, which is no later than the one that it may have already.
    fn timed(&self, call: &Call) -> (Call, Instant) {
        let deadline = Instant::now() + self.timeout;
        let deadline = call.deadline.map_or(deadline, |set| set.min(deadline));
        let mut call = call.clone();
        call.deadline = Some(deadline);
        (call, deadline)
    }

    async fn read<T>(
        &self,
        deadline: Instant,
        operation: impl Future<Output = Result<T, ContextError>>,
    ) -> Result<T, ContextError> {
        let timed = async || {
            let late = Err(ContextError::Store(MemoryError::Timeout));
            timeout_at(deadline, operation).await.unwrap_or(late)
        };
        let breaker = self.breakers.as_ref().map(|breakers| &breakers.reads);
        watched(breaker, timed).await
    }
}

async fn watched<T, F>(
    breaker: Option<&Breaker>,
    operation: impl FnOnce() -> F,
) -> Result<T, ContextError>
where
    F: Future<Output = Result<T, ContextError>>,
{
    let Some(breaker) = breaker else {
        return operation().await;
    };
    let judge = |result: &Result<T, ContextError>| match result {
        Err(ContextError::Store(error)) => guarded::judged(error),
        // What the caller got wrong, the store got right.
        _ => Verdict::SUCCESS,
    };
    let done = breaker.call_with(&judge, operation).await;
    done.map_err(|error| match error {
        CallError::Inner(error) => error,
        refused => ContextError::Store(guarded::left_alone(&refused)),
    })
}

#[async_trait]
impl ContextStore for SteadyContexts {
    async fn put(&self, call: &Call, put: Put) -> Result<Kept, ContextError> {
        let (call, deadline) = self.timed(call);
        let timed = async || {
            let answer = timeout_at(deadline + GRACE, self.store.put(&call, put)).await;
            answer.unwrap_or_else(|_| {
                Err(ContextError::Store(MemoryError::OutcomeUnknown {
                    reason: format!("the store did not answer within {:?}", self.timeout),
                    late: true,
                }))
            })
        };
        let breaker = self.breakers.as_ref().map(|breakers| &breakers.puts);
        watched(breaker, timed).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Kept, ContextError> {
        let (call, deadline) = self.timed(call);
        self.read(deadline, self.store.get(&call, get)).await
    }

    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError> {
        let (call, deadline) = self.timed(call);
        self.read(deadline, self.store.list(&call, list)).await
    }

    fn mark(&self) -> Option<u64> {
        self.store.mark()
    }

    async fn changes_after(&self, revision: u64) -> Result<ContextChanges, ContextError> {
        let deadline = Instant::now() + self.timeout;
        self.read(deadline, self.store.changes_after(revision))
            .await
    }

    async fn hottest(&self, recent: u32, popular: u32) -> Result<Vec<ContextKey>, ContextError> {
        self.store.hottest(recent, popular).await
    }

    async fn count_reads(&self, reads: Vec<(ContextKey, u64)>) -> Result<(), ContextError> {
        self.store.count_reads(reads).await
    }
}
