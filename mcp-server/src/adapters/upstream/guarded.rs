//! An upstream behind a circuit breaker and a budget of retries.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_breaker::{Breaker, CallError, RetryBudget, Verdict};
use rmcp::model::{CallToolResponse, JsonObject};

use crate::{
    adapters::GuardConfig,
    call::Call,
    monitoring::{BreakerStatus, Parts},
    ports::Upstream,
    upstream::{Listed, RemoteTool, RetryConfig, Until, UpstreamError},
};

/// An [`Upstream`] whose calls are refused at once after it failed several times in a row, and whose
/// calls that are safe to repeat are repeated once, as far as the budget goes.
///
/// Asking for the tools is let through: that is how it is found out that it is back.
pub struct GuardedUpstream {
    upstream: Arc<dyn Upstream>,
    breaker: Option<Breaker>,
    budget: Option<RetryBudget>,
}

impl std::fmt::Debug for GuardedUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedUpstream")
            .field("breaker", &self.breaker.as_ref().map(Breaker::stats))
            .finish_non_exhaustive()
    }
}

impl GuardedUpstream {
    /// A breaker and a budget in front of `upstream`.
    ///
    /// # Errors
    ///
    /// As [`GuardConfig::validate`].
    pub fn new(
        upstream: Arc<dyn Upstream>,
        guard: &GuardConfig,
        retry: &RetryConfig,
    ) -> Result<Self, mcp_breaker::ConfigError> {
        let breaker = guard
            .enabled
            .then(|| Breaker::new(&guard.breaker()))
            .transpose()?;
        let budget = (retry.share_max > 0.0).then(|| {
            RetryBudget::new(&mcp_breaker::RetryConfig {
                ratio: retry.share_max,
                // One that is rarely called may have a broken connection, too.
                min_per_second: 1,
                ..mcp_breaker::RetryConfig::default()
            })
        });
        Ok(Self {
            upstream,
            breaker,
            budget: budget.transpose()?,
        })
    }

    /// The breaker's counters at this moment.
    #[must_use]
    pub fn stats(&self) -> Option<mcp_breaker::Stats> {
        self.breaker.as_ref().map(Breaker::stats)
    }

    async fn once(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        let Some(breaker) = &self.breaker else {
            return self.upstream.call(call, tool, arguments).await;
        };
        let called = breaker
            .call_with(&judge, || self.upstream.call(call, tool, arguments))
            .await;
        called.map_err(|error| match error {
            CallError::Inner(error) => error,
            refused => UpstreamError::LeftAlone {
                reason: refused.to_string(),
            },
        })
    }

    /// Whether a call that failed may be made again: it cannot have done anything, or a second time
    /// does no harm, and it failed at once.
    fn may_repeat(&self, tool: &RemoteTool, error: &UpstreamError) -> bool {
        let UpstreamError::Unavailable { unsent, .. } = error else {
            return false;
        };
        (*unsent || tool.is_repeatable())
            && self.budget.as_ref().is_some_and(RetryBudget::try_withdraw)
    }
}

fn judge(result: &Result<CallToolResponse, UpstreamError>) -> Verdict {
    match result {
        // It works, whatever it says.
        Ok(_) | Err(UpstreamError::Rpc(_)) => Verdict::SUCCESS,
        Err(UpstreamError::Busy { retry_after, .. }) => match retry_after {
            Some(retry_after) => Verdict::OVERLOAD.with_retry_after(*retry_after),
            None => Verdict::OVERLOAD,
        },
        Err(
            UpstreamError::Unavailable { .. }
            | UpstreamError::Timeout { .. }
            | UpstreamError::Protocol { .. }
            | UpstreamError::Unauthorized { .. },
        ) => Verdict::FAILURE,
        // It was not asked.
        Err(
            UpstreamError::Settings { .. }
            | UpstreamError::LeftAlone { .. }
            | UpstreamError::Overloaded { .. }
            | UpstreamError::Removed,
        ) => Verdict::IGNORE,
    }
}

#[async_trait]
impl Upstream for GuardedUpstream {
    async fn tools(&self, anew: bool) -> Result<Listed, UpstreamError> {
        self.upstream.tools(anew).await
    }

    async fn call(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        match self.once(call, tool, arguments.clone()).await {
            Err(error) if self.may_repeat(tool, &error) => {
                tracing::debug!(tool = %tool.description.name, %error, "called again");
                self.once(call, tool, arguments).await
            }
            result => result,
        }
    }

    fn pause(&self) -> Option<Until> {
        self.upstream.pause()
    }

    fn asked(&self) {
        self.upstream.asked();
    }

    async fn close(&self) {
        self.upstream.close().await;
    }

    fn observe(&self, name: &str, parts: &mut Parts) {
        let stats = self.stats();
        let breaker = stats.map(|stats| BreakerStatus::of(format!("connector:{name}"), &stats));
        parts.breakers.extend(breaker);
        self.upstream.observe(name, parts);
    }
}
