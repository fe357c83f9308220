//! Guarding a future.

use crate::{Breaker, CallError, Classify, classify::ByResult};

impl Breaker {
    /// Runs `operation` if the breaker lets it; `Err` is a failure. The
    /// operation is not even made when the call is refused.
    ///
    /// # Errors
    /// [`CallError::Rejected`] at once, or the operation's own error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the operation and returns the permit; no
    /// window sees the call. A panic in the operation counts as a failure.
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
        let permit = self.try_acquire()?;
        let result = operation().await;
        permit.settle(classify.classify(&result));
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
