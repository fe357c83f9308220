//! Every tool that changes something puts an event on the bus.

use std::{num::NonZeroUsize, sync::Arc};

use mcp_cache::{Cache, CacheEventBus, Config};
use mcp_server::{
    adapters::Announcer,
    call::Call,
    memory::{
        Limits, MemoryService,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::EventSink,
    tools,
};
use serde_json::{Value, json};

use crate::support::process::folder;

/// Arguments with which a tool does what it is for.
fn arguments(tool: &str, id: &Value) -> Value {
    match tool {
        "memory_add" => json!({"content": "one"}),
        "memory_search" => json!({"query": "one"}),
        "memory_get" | "memory_delete" => json!({"id": id}),
        "memory_update" => json!({"id": id, "content": "two"}),
        "memory_batch" => json!({"operations": [{"type": "add", "data": {"content": "three"}}]}),
        other => panic!("say with which arguments `{other}` is tested"),
    }
}

#[tokio::test]
async fn every_tool_that_changes_something_says_so() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let memory = MemoryService::new(Arc::new(store), Limits::default());
    let capacity = NonZeroUsize::new(64).unwrap();
    let bus = CacheEventBus::new(Arc::default(), capacity);
    let events: Arc<dyn EventSink> = Arc::new(Announcer::new(bus.clone()));
    let registry = tools::memory_tools(&memory).announced(&events);
    let derived: Cache<String, u8> = Cache::builder(&Config::default())
        .epochs(bus.epochs().clone())
        .build()
        .unwrap();
    let call = Call::local();
    let object = |value: Value| value.as_object().unwrap().clone();
    let mut changing = 0;
    for description in registry.descriptions() {
        let name = description.name.to_string();
        let tool = registry.by_name(&name).unwrap();
        let add = registry.by_name("memory_add").unwrap();
        let added = add
            .call(&call, object(json!({"content": "one"})))
            .await
            .unwrap()
            .into_value()
            .unwrap();
        let tag = format!("tool:{name}");
        derived.insert(name.clone(), 1, [tag.as_str()]);
        let before = bus.published();
        let known = |name: &str| derived.try_get(name).is_some();

        // What is refused has changed nothing.
        tool.call(&call, object(json!({"no": "such argument"})))
            .await
            .unwrap_err();
        assert!(known(&name), "{name}");
        let done = tool
            .call(&call, object(arguments(&name, &added["id"])))
            .await;
        done.unwrap();

        let annotations = description.annotations.as_ref().unwrap();
        let reads = annotations.read_only_hint.unwrap();
        assert_eq!(known(&name), reads, "{name}");
        assert_eq!(bus.published() > before, !reads, "{name}");
        changing += usize::from(!reads);
    }
    assert!(changing >= 4, "{changing}");
}

/// Nobody waits for the answer, but the change may happen.
#[tokio::test]
async fn a_dropped_call_says_so_too() {
    let dir = folder();
    let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
    let memory = MemoryService::new(Arc::new(store), Limits::default());
    let bus = CacheEventBus::new(Arc::default(), NonZeroUsize::MIN);
    let events: Arc<dyn EventSink> = Arc::new(Announcer::new(bus.clone()));
    let registry = tools::memory_tools(&memory).announced(&events);
    let tool = registry.by_name("memory_add").unwrap();
    let arguments = json!({"content": "dropped"}).as_object().unwrap().clone();
    let call = Call::local();
    tokio::select! {
        biased;
        _ = tool.call(&call, arguments) => {}
        () = std::future::ready(()) => {}
    }
    assert_eq!(bus.published(), 1);
}
