//! Guarding a future.

use crate::{Breaker, CallError, Classify, classify::ByResult, held::Held};
use std::{future::poll_fn, pin::pin};

impl Breaker {
    /// Runs `operation` if the breaker lets it; `Err` is a failure. The
    /// operation is not even made when the call is refused.
    ///
    /// # Errors
    /// [`CallError::Rejected`] at once, or the operation's own error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the operation and returns the permit; no
    /// window sees the call. A panic in the operation or the classifier counts
    /// as a failure; one of the caller's, which drops the future, does not.
    pub async fn call<T, E, F>(&self, operation: impl FnOnce() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_with(&ByResult, operation).await
    }

    /// Like [`call`](Self::call); `classify` says what a result means.
    ///
    /// # Errors
    /// [`CallError::Rejected`] at once, or the operation's own error.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_with<T, E, F>(
        &self,
        classify: &impl Classify<T, E>,
        operation: impl FnOnce() -> F,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut held = Held::new(self.try_acquire()?);
        let mut running = pin!(held.watch(operation));
        let result = poll_fn(|cx| held.watch(|| running.as_mut().poll(cx))).await;
        let verdict = held.watch(|| classify.classify(&result));
        held.settle(verdict);
        result.map_err(CallError::Inner)
    }

    /// Like [`call`](Self::call), and asks another source when the call was
    /// refused or failed. The fallback is not guarded; it is told why it runs.
    ///
    /// # Errors
    /// The fallback's error.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call), and dropping the future during the fallback
    /// drops the fallback.
    pub async fn call_or_else<T, E, F, G>(
        &self,
        operation: impl FnOnce() -> F,
        fallback: impl FnOnce(CallError<E>) -> G,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        G: Future<Output = Result<T, E>>,
    {
        match self.call(operation).await {
            Ok(value) => Ok(value),
            Err(error) => fallback(error).await,
        }
    }
}
