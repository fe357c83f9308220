//! The manager that keeps nothing to itself.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Context, ContextError, ContextReceipt, Get, List, Listed, Put};
use crate::{
    call::Call,
    ports::{ContextManager, ContextStore},
};

/// A [`ContextManager`] that hands every call straight to the store.
pub struct StandardManager {
    store: Arc<dyn ContextStore>,
}

impl std::fmt::Debug for StandardManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandardManager").finish_non_exhaustive()
    }
}

impl StandardManager {
    /// A manager of what is in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ContextStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl ContextManager for StandardManager {
    async fn put(&self, call: &Call, put: Put) -> Result<ContextReceipt, ContextError> {
        let kept = self.store.put(call, put).await?;
        Ok(ContextReceipt::from(&kept.context))
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Context>, ContextError> {
        let kept = self.store.get(call, get).await?;
        Ok(Arc::new(kept.context))
    }

    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError> {
        self.store.list(call, list).await
    }

    async fn close(&self) {}
}
