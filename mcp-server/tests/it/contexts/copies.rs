//! What the optimised manager keeps in memory, for how long, and what it asks the store.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mcp_server::{
    adapters::OptimisedManager,
    call::Call,
    context::{ContextsConfig, WarmingConfig},
    ports::ContextManager,
};
use serde_json::{Value, json};

use super::{optimised, shelf::Shelf};
use crate::{
    contract::contexts::{get, text},
    support::until,
};

fn shelf() -> Arc<Shelf> {
    Arc::new(Shelf::new())
}

/// A manager of `shelf`, and what reads through it.
fn manager(shelf: &Arc<Shelf>) -> Arc<OptimisedManager> {
    optimised(shelf.clone())
}

fn put(content: Value) -> mcp_server::context::Put {
    serde_json::from_value(content).unwrap()
}

async fn read(manager: &OptimisedManager, id: &str) -> String {
    let context = manager.get(&Call::local(), get(id)).await.unwrap();
    text(&context).to_owned()
}

#[tokio::test]
async fn what_was_put_or_read_is_not_read_from_the_store() {
    let shelf = shelf();
    let manager = manager(&shelf);
    manager
        .put(&Call::local(), put(json!({"id": "put", "content": "a"})))
        .await
        .unwrap();
    shelf.put_behind(put(json!({"id": "there", "content": "b"})));
    for _ in 0..100 {
        assert_eq!(read(&manager, "put").await, "a");
        assert_eq!(read(&manager, "there").await, "b");
    }
    assert_eq!(
        shelf.reads(),
        1,
        "only what was not put through the manager"
    );
    assert_eq!(shelf.asked_for_changes.load(Ordering::SeqCst), 1);
    let stats = manager.stats();
    assert_eq!((stats.hits, stats.misses, stats.copies), (199, 1, 2));
}

#[tokio::test]
async fn what_others_put_is_seen_at_once() {
    for marks in [true, false] {
        let shelf = Arc::new(Shelf {
            marks,
            ..Shelf::new()
        });
        let manager = manager(&shelf);
        for n in 0..20 {
            let content = n.to_string();
            shelf.put_behind(put(json!({"id": "a", "content": content})));
            for _ in 0..3 {
                assert_eq!(read(&manager, "a").await, content);
            }
        }
        assert_eq!(shelf.reads(), 20, "marks: {marks}");
        let asked = shelf.asked_for_changes.load(Ordering::SeqCst);
        assert_eq!(asked, if marks { 20 } else { 60 });
    }
}

#[tokio::test]
async fn of_all_who_ask_at_once_one_reads() {
    let shelf = Arc::new(Shelf {
        open: tokio::sync::Semaphore::new(0),
        ..Shelf::new()
    });
    shelf.put_behind(put(json!({"id": "a", "content": "x"})));
    let manager = manager(&shelf);
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let manager = manager.clone();
        reads.spawn(async move { read(&manager, "a").await });
    }
    until("the reads", async || {
        (manager.stats().misses == 100).then_some(())
    })
    .await;
    shelf.open.add_permits(1);
    assert!(reads.join_all().await.iter().all(|text| text == "x"));
    assert_eq!(shelf.reads(), 1);
}

#[tokio::test]
async fn an_error_is_told_and_not_kept() {
    let shelf = shelf();
    let manager = manager(&shelf);
    let call = Call::local();
    let unknown = async || manager.get(&call, get("a")).await.unwrap_err().code();
    assert_eq!(unknown().await, "not_found");
    assert_eq!(unknown().await, "not_found");
    assert_eq!(shelf.reads(), 2);
    shelf.put_behind(put(json!({"id": "a", "content": "x"})));
    shelf.down.store(true, Ordering::SeqCst);
    assert_eq!(unknown().await, "unavailable");
    let refused = manager.put(&call, put(json!({"id": "b", "content": "x"})));
    assert!(refused.await.unwrap_err().is_retryable());
    shelf.down.store(false, Ordering::SeqCst);
    assert_eq!(read(&manager, "a").await, "x");
    assert_eq!(
        manager.get(&call, get("b")).await.unwrap_err().code(),
        "not_found"
    );
}

/// Each class keeps its copies for its own time; the jitter takes a tenth at the most.
#[tokio::test(start_paused = true)]
async fn copies_live_as_long_as_their_class_says() {
    let shelf = shelf();
    let minutes = [
        ("rules", 120),
        ("session", 30),
        ("analytics", 60),
        ("result", 15),
        ("other", 5),
    ];
    for (class, _) in minutes {
        shelf.put_behind(put(json!({"id": class, "class": class, "content": "x"})));
    }
    let manager = manager(&shelf);
    let reads = async |class: &str| {
        let before = shelf.reads();
        read(&manager, class).await;
        shelf.reads() - before
    };
    for (class, minutes) in minutes {
        assert_eq!(reads(class).await, 1, "{class}");
        tokio::time::sleep(Duration::from_secs(minutes * 60 * 8 / 9)).await;
        assert_eq!(reads(class).await, 0, "{class} at 8/9 of its time");
        tokio::time::sleep(Duration::from_secs(minutes * 60 / 9 + 1)).await;
        assert_eq!(reads(class).await, 1, "{class} after its time");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_likely_to_be_read_is_read_ahead_in_rounds() {
    let shelf = shelf();
    for n in 0..150 {
        shelf.put_behind(put(
            json!({"id": format!("{n:03}"), "class": "rules", "content": "x"}),
        ));
    }
    let config = ContextsConfig::default();
    let store = shelf.clone();
    let manager = OptimisedManager::new(store, &config.cache, &config.warming).unwrap();
    let round = async |number: u64| {
        until("a round", async || {
            (manager.stats().warmings >= number).then_some(())
        })
        .await;
    };
    round(1).await;
    assert_eq!(shelf.reads(), 100);
    for n in 0..100 {
        read(&manager, &format!("{n:03}")).await;
    }
    assert_eq!(shelf.reads(), 100, "all of them are copies");
    read(&manager, "149").await;

    // What has changed is read again by the next round, the rest is there.
    shelf.put_behind(put(
        json!({"id": "007", "class": "rules", "content": "changed"}),
    ));
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(manager.stats().warmings, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    round(2).await;
    assert_eq!(shelf.reads(), 102);
    assert_eq!(read(&manager, "007").await, "changed");
    assert_eq!(shelf.reads(), 102);
    assert_eq!(shelf.counted.lock().unwrap().get("149"), Some(&1));

    // Closed, it warms no more, and has stored what was read.
    read(&manager, "148").await;
    manager.close().await;
    assert_eq!(shelf.counted.lock().unwrap().get("148"), Some(&1));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(manager.stats().warmings, 2);
    assert_eq!(read(&manager, "000").await, "x");
}

#[tokio::test(start_paused = true)]
async fn warming_outlives_a_store_that_is_down_and_ends_with_its_owner() {
    let shelf = shelf();
    shelf.put_behind(put(json!({"id": "a", "content": "x"})));
    shelf.down.store(true, Ordering::SeqCst);
    let config = ContextsConfig::default();
    let warming = WarmingConfig {
        interval: Duration::from_secs(10),
        ..config.warming
    };
    let store = shelf.clone();
    let manager = OptimisedManager::new(store, &config.cache, &warming).unwrap();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!((manager.stats().warmings, shelf.reads()), (3, 0));
    shelf.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((manager.stats().warmings, shelf.reads()), (4, 1));
    drop(manager);
    let alone = async || (Arc::strong_count(&shelf) == 1).then_some(());
    until("the end of the task", alone).await;
}
