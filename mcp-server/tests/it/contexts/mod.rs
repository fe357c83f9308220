//! Contexts: both managers by the contract of their port, and what only one of them can get wrong.

mod copies;
mod processes;
mod shelf;
mod stale;
mod steady;
mod tools;

use std::{path::Path, sync::Arc};

use mcp_server::{
    adapters::OptimisedManager,
    context::{ContextsConfig, StandardManager, WarmingConfig},
    memory::sqlite::{SqliteConfig, SqliteStore},
    ports::{ContextManager, ContextStore},
};

use crate::{contract::contexts, support::process::folder};

fn store(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir, &SqliteConfig::default()).unwrap())
}

/// Without warming, so that nothing is read but what the test asks for.
fn optimised(store: Arc<dyn ContextStore>) -> Arc<OptimisedManager> {
    let warming = WarmingConfig {
        recent: 0,
        popular: 0,
        ..WarmingConfig::default()
    };
    let config = ContextsConfig::default();
    Arc::new(OptimisedManager::new(store, &config.cache, &warming).unwrap())
}

#[tokio::test]
async fn the_standard_manager_keeps_the_contract_of_its_port() {
    let dir = folder();
    contexts::check(Arc::new(StandardManager::new(store(dir.path())))).await;
}

#[tokio::test]
async fn the_optimised_manager_keeps_the_contract_of_its_port() {
    let dir = folder();
    let config = ContextsConfig::default();
    let manager = OptimisedManager::new(store(dir.path()), &config.cache, &config.warming).unwrap();
    let manager = Arc::new(manager);
    contexts::check(manager.clone()).await;
    let stats = manager.stats();
    assert!(stats.hits > 0 && stats.misses > 0, "{stats:?}");
    manager.close().await;
}

#[tokio::test]
async fn contexts_are_there_after_reopening() {
    let dir = folder();
    let call = crate::contract::call();
    let before = {
        let manager: Arc<dyn ContextManager> = optimised(store(dir.path()));
        let whole = serde_json::json!({"id": "a", "class": "rules", "content": {"k": "v"}});
        contexts::put(&manager, &call, whole).await;
        contexts::read(&manager, &call, "a").await
    };
    let manager: Arc<dyn ContextManager> = optimised(store(dir.path()));
    assert_eq!(contexts::read(&manager, &call, "a").await, before);
}
