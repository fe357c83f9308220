//! The context service: the one door through which tools reach a manager.

use std::sync::Arc;

use super::{Context, ContextError, ContextLimits, ContextReceipt, Get, List, Listed, Put};
use crate::{call::Call, ports::ContextManager};

/// Checks every operation against the [`ContextLimits`] and hands it to the manager.
///
/// All methods are cancel safe: a dropped call either happened as a whole or not at all.
#[derive(Clone)]
pub struct ContextService {
    manager: Arc<dyn ContextManager>,
    limits: Arc<ContextLimits>,
}

impl std::fmt::Debug for ContextService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextService")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl ContextService {
    /// A service in front of `manager`.
    #[must_use]
    pub fn new(manager: Arc<dyn ContextManager>, limits: ContextLimits) -> Self {
        Self {
            manager,
            limits: Arc::new(limits),
        }
    }

    /// Stores a context; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ContextError::Invalid`], [`ContextError::VersionConflict`], or what the store says.
    pub async fn put(&self, call: &Call, put: Put) -> Result<ContextReceipt, ContextError> {
        self.limits.check_put(&put)?;
        self.manager.put(call, put).await
    }

    /// Reads one context.
    ///
    /// # Errors
    ///
    /// [`ContextError::NotFound`], or what the store says.
    pub async fn get(&self, call: &Call, get: Get) -> Result<Arc<Context>, ContextError> {
        self.limits.check_get(&get)?;
        self.manager.get(call, get).await
    }

    /// Lists contexts, as many as fit into the budget.
    ///
    /// # Errors
    ///
    /// [`ContextError::Invalid`], or what the store says.
    pub async fn list(&self, call: &Call, mut list: List) -> Result<Listed, ContextError> {
        self.limits.check_list(&list)?;
        let budget = &mut list.budget_tokens;
        budget.get_or_insert(self.limits.budget_tokens_default);
        self.manager.list(call, list).await
    }
}
