//! What would make the first call slow, done before there is one.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    call::Call,
    memory::{Add, Owner, sqlite::SqliteStore},
    tools::{DynTool, Registry},
};

/// An owner whose memories nobody has made, and nobody sees.
const SCRATCH_OWNER: &str = "warm-up";
/// Rounds of reads: each reader has had its turn after the first few.
const ROUNDS: usize = 4;

/// Runs the reads of the memory tools until each of `readers` connections has its statements
/// prepared and its part of the index open, and rehearses a write. Changes nothing.
pub(crate) async fn run(registry: &Registry, store: &SqliteStore, readers: usize) {
    let add = Add {
        content: "warm up".to_owned(),
        ..Add::default()
    };
    store.rehearse(&scratch_call(), add).await;
    let reads = [
        ("memory_search", json!({"query": "warm up", "limit": 1})),
        ("memory_get", json!({"id": "warm-up"})),
    ];
    for _ in 0..ROUNDS {
        let mut tasks = JoinSet::new();
        for (name, arguments) in &reads {
            let (Some(tool), Value::Object(arguments)) = (registry.by_name(name), arguments) else {
                continue;
            };
            for _ in 0..readers {
                tasks.spawn(read(tool.clone(), arguments.clone()));
            }
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn read(tool: std::sync::Arc<dyn DynTool>, arguments: JsonObject) {
    let call = scratch_call();
    // There is nothing to be found: what matters is that it was looked for.
    let _ = tool.call(&call, arguments).await;
}

fn scratch_call() -> Call {
    Call::new(Owner::new(SCRATCH_OWNER))
}
