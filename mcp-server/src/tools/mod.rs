//! The tools: one file each, one registry for all, whatever way a call comes in.

mod access;
mod announced;
mod cache_clear;
mod cache_stats;
mod cache_warm;
mod connector_list;
mod connector_refresh;
mod context_get;
mod context_list;
mod context_put;
mod error;
mod get_performance_status;
mod memory_add;
mod memory_batch;
mod memory_delete;
mod memory_get;
mod memory_search;
mod memory_update;
mod registry;
mod remote;
mod reply;
mod run_performance_benchmark;
mod schema;
mod tool;
mod watched;

pub use cache_clear::CacheClear;
pub use cache_stats::CacheStats;
pub use cache_warm::CacheWarm;
pub use connector_list::ConnectorList;
pub use connector_refresh::ConnectorRefresh;
pub use context_get::ContextGet;
pub use context_list::ContextList;
pub use context_put::ContextPut;
pub use error::ToolError;
pub use get_performance_status::GetPerformanceStatus;
pub use memory_add::MemoryAdd;
pub use memory_batch::MemoryBatch;
pub use memory_delete::MemoryDelete;
pub use memory_get::MemoryGet;
pub use memory_search::MemorySearch;
pub use memory_update::MemoryUpdate;
pub use registry::{DynTool, Registry};
pub use remote::{Freshness, RemoteTools};
pub use reply::Reply;
pub(crate) use reply::json_len;
pub use run_performance_benchmark::RunPerformanceBenchmark;
pub use tool::{Effect, Tool};

use std::sync::Arc;

use crate::{
    context::ContextService, memory::MemoryService, monitoring::Monitor, ports::CacheControl,
    upstream::Gateway,
};

/// A registry with the six memory tools in front of `memory`.
#[must_use]
pub fn memory_tools(memory: &MemoryService) -> Registry {
    Registry::new()
        .with(MemoryAdd::new(memory.clone()))
        .with(MemorySearch::new(memory.clone()))
        .with(MemoryGet::new(memory.clone()))
        .with(MemoryUpdate::new(memory.clone()))
        .with(MemoryDelete::new(memory.clone()))
        .with(MemoryBatch::new(memory.clone()))
}

/// The same registry with the three context tools in front of `contexts`.
#[must_use]
pub fn with_context_tools(registry: Registry, contexts: &ContextService) -> Registry {
    registry
        .with(ContextPut::new(contexts.clone()))
        .with(ContextGet::new(contexts.clone()))
        .with(ContextList::new(contexts.clone()))
}

/// The same registry with the two tools for the connectors of `gateway`.
#[must_use]
pub fn with_connector_tools(registry: Registry, gateway: &Gateway) -> Registry {
    registry
        .with(ConnectorList::new(gateway.clone()))
        .with(ConnectorRefresh::new(gateway.clone()))
}

/// The same registry with the tool that says how the server does.
#[must_use]
pub fn with_monitoring_tools(registry: Registry, monitor: &Monitor) -> Registry {
    registry.with(GetPerformanceStatus::new(monitor.clone()))
}

/// The same registry with the tools of whoever looks after the server.
#[must_use]
pub fn with_admin_tools(
    registry: Registry,
    monitor: &Monitor,
    caches: &[Arc<dyn CacheControl>],
) -> Registry {
    registry
        .with(CacheStats::new(monitor.clone()))
        .with(CacheClear::new(caches.to_vec()))
        .with(CacheWarm::new(caches.to_vec()))
}
