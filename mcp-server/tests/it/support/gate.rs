//! A server whose one tool, `wait`, answers only when the test lets it.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
        ServerConfig, SubscriptionFilter,
    },
    service::RequestContext,
};
use tokio::sync::Semaphore;

use super::within;

/// Clones share the gate.
#[derive(Clone)]
pub(crate) struct Gate {
    waiting: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    /// Returns when `count` more calls stand before the gate.
    pub(crate) async fn reached_by(&self, count: u32) {
        within("the calls", self.waiting.acquire_many(count))
            .await
            .expect("never closed")
            .forget();
    }

    /// Lets all calls pass, for good.
    pub(crate) fn open(&self) {
        self.open.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

impl ServerHandler for Gate {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.waiting.add_permits(1);
        self.open
            .acquire()
            .await
            .map_err(|_| ErrorData::internal_error("the gate is gone", None))?
            .forget();
        Ok(CallToolResult::success(vec![ContentBlock::text("passed")]).into())
    }
}
