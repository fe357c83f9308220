//! What every [`MemoryStore`] must do, whatever it is made of. A store's tests hand it to
//! [`check`]; each clause works as an call of its own, so the store need not be empty.

pub(crate) mod contexts;
mod search;

use std::sync::Arc;

use mcp_server::{
    call::Call,
    memory::{
        Add, Added, Delete, Get, Hit, MemoryError, MemoryId, Operation, Outcome, Owner, Search,
        Update,
    },
    ports::MemoryStore,
};
use serde_json::{Value, json};

use crate::support::until;

type Store = Arc<dyn MemoryStore>;

/// Runs every clause.
pub(crate) async fn check(store: Store) {
    what_is_added_is_read_back(&store, call()).await;
    an_update_changes_what_it_names(&store, call()).await;
    a_stale_version_is_refused(&store, call()).await;
    of_simultaneous_updates_one_wins(&store, call()).await;
    what_is_deleted_is_gone(&store, call()).await;
    a_memory_expires(&store, call()).await;
    owners_do_not_see_each_other(&store, call(), call()).await;
    search::namespaces_narrow_a_search(&store, call()).await;
    search::all_tags_must_match(&store, call()).await;
    search::better_matches_come_first(&store, call()).await;
    search::any_text_is_kept_and_searchable(&store, call()).await;
    search::no_query_is_an_error(&store, call()).await;
    a_batch_runs_in_order_and_each_by_itself(&store, call()).await;
    simultaneous_writes_are_all_kept(&store, call()).await;
}

pub(crate) fn call() -> Call {
    Call::new(Owner::new(MemoryId::generate().as_str()))
}

pub(crate) fn text(content: &str) -> Add {
    Add {
        content: content.to_owned(),
        ..Add::default()
    }
}

pub(crate) async fn add(store: &Store, call: &Call, add: Add) -> Added {
    store.add(call, add).await.unwrap()
}

pub(crate) async fn hits(store: &Store, call: &Call, search: Value) -> Vec<Hit> {
    let mut search: Search = serde_json::from_value(search).unwrap();
    search.limit.get_or_insert(10);
    store.search(call, search).await.unwrap().memories
}

/// The contents of what a query finds, best match first.
async fn found(store: &Store, call: &Call, query: &str) -> Vec<String> {
    let hits = hits(store, call, json!({"query": query})).await;
    hits.into_iter()
        .map(|hit| hit.memory.content.clone())
        .collect()
}

pub(crate) fn get(id: &MemoryId) -> Get {
    Get { id: id.clone() }
}

fn delete(id: &MemoryId) -> Delete {
    Delete { id: id.clone() }
}

fn update(id: &MemoryId) -> Update {
    Update {
        id: id.clone(),
        content: None,
        tags: None,
        metadata: None,
        version: None,
    }
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(result: Result<T, MemoryError>, id: &MemoryId) {
    match result {
        Err(MemoryError::NotFound { id: named }) => assert_eq!(&named, id),
        other => panic!("{id} should be unknown: {other:?}"),
    }
}

async fn what_is_added_is_read_back(store: &Store, call: Call) {
    let all: Add = serde_json::from_value(json!({
        "content": "all fields", "namespace": "work", "tags": ["b", "a", "b"],
        "metadata": {"n": 1.5, "deep": {"list": [null, true, "x"]}}, "ttl_seconds": 3600,
    }))
    .unwrap();
    let added = add(store, &call, all.clone()).await;
    let memory = store.get(&call, get(&added.id)).await.unwrap();
    assert_eq!(memory.id, added.id);
    assert_eq!((memory.version, added.version), (1, 1));
    assert_eq!(memory.content, all.content);
    assert_eq!(memory.namespace, "work");
    assert_eq!(memory.tags, all.tags);
    assert_eq!(memory.metadata, all.metadata);
    assert_eq!(memory.created_at, added.created_at);
    assert_eq!(memory.updated_at, added.created_at);
    let lives = memory.expires_at.unwrap() - memory.created_at;
    assert_eq!(lives.total(jiff::Unit::Second).unwrap(), 3600.0);

    let second = add(store, &call, text("content only")).await;
    let memory = store.get(&call, get(&second.id)).await.unwrap();
    assert_eq!(memory.namespace, "default");
    assert_eq!((memory.tags.len(), memory.metadata.len()), (0, 0));
    assert_eq!(memory.expires_at, None);
    assert!(second.id.as_str() > added.id.as_str(), "ids sort by age");

    let again = add(store, &call, text("content only")).await;
    assert_ne!(again.id, second.id, "equal texts are two memories");
    let unknown = MemoryId::generate();
    assert_unknown(store.get(&call, get(&unknown)).await, &unknown);
}

async fn an_update_changes_what_it_names(store: &Store, call: Call) {
    let first: Add =
        serde_json::from_value(json!({"content": "walrus", "tags": ["old"], "metadata": {"a": 1}}))
            .unwrap();
    let id = add(store, &call, first).await.id;
    let changes = [
        json!({"id": id, "content": "penguin"}),
        json!({"id": id, "tags": ["new", "newer"]}),
        json!({"id": id, "metadata": {"b": 2}}),
        json!({"id": id, "tags": []}),
    ];
    for (version, change) in (2..).zip(changes) {
        let change: Update = serde_json::from_value(change).unwrap();
        let before = store.get(&call, get(&id)).await.unwrap();
        let updated = store.update(&call, change.clone()).await.unwrap();
        let after = store.get(&call, get(&id)).await.unwrap();
        assert_eq!((updated.version, after.version), (version, version));
        assert_eq!(updated.updated_at, after.updated_at);
        assert!(after.updated_at >= before.updated_at);
        assert_eq!(after.created_at, before.created_at);
        assert_eq!(
            after.content,
            change.content.unwrap_or_else(|| before.content.clone())
        );
        assert_eq!(
            after.tags,
            change.tags.unwrap_or_else(|| before.tags.clone())
        );
        assert_eq!(
            after.metadata,
            change.metadata.unwrap_or_else(|| before.metadata.clone())
        );
    }
    assert_eq!(found(store, &call, "walrus").await, Vec::<String>::new());
    assert_eq!(found(store, &call, "penguin").await, ["penguin"]);
    let unknown = MemoryId::generate();
    assert_unknown(store.update(&call, update(&unknown)).await, &unknown);
}

async fn a_stale_version_is_refused(store: &Store, call: Call) {
    let id = add(store, &call, text("first")).await.id;
    let change = |content: &str, version| Update {
        content: Some(content.to_owned()),
        version: Some(version),
        ..update(&id)
    };
    store.update(&call, change("second", 1)).await.unwrap();
    for stale in [0, 1, 3, u64::MAX] {
        match store.update(&call, change("third", stale)).await {
            Err(MemoryError::VersionConflict {
                id: named,
                expected,
                actual,
            }) => assert_eq!((named, expected, actual), (id.clone(), stale, 2)),
            other => panic!("version {stale}: {other:?}"),
        }
    }
    let memory = store.get(&call, get(&id)).await.unwrap();
    assert_eq!((memory.content.as_str(), memory.version), ("second", 2));
    store.update(&call, change("third", 2)).await.unwrap();
}

async fn of_simultaneous_updates_one_wins(store: &Store, call: Call) {
    let id = add(store, &call, text("contested")).await.id;
    let mut updates = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (store, call) = (store.clone(), call.clone());
        let change = Update {
            content: Some(n.to_string()),
            version: Some(1),
            ..update(&id)
        };
        updates.spawn(async move { store.update(&call, change).await.is_ok() });
    }
    let won = updates.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(store.get(&call, get(&id)).await.unwrap().version, 2);
}

async fn what_is_deleted_is_gone(store: &Store, call: Call) {
    let id = add(store, &call, text("ephemeral")).await.id;
    let kept = add(store, &call, text("ephemeral too")).await.id;
    let deleted = store.delete(&call, delete(&id)).await.unwrap();
    assert_eq!((&deleted.id, deleted.deleted), (&id, true));
    assert_unknown(store.get(&call, get(&id)).await, &id);
    assert_unknown(store.update(&call, update(&id)).await, &id);
    assert_unknown(store.delete(&call, delete(&id)).await, &id);
    assert_eq!(found(store, &call, "ephemeral").await, ["ephemeral too"]);
    store.get(&call, get(&kept)).await.unwrap();
}

async fn a_memory_expires(store: &Store, call: Call) {
    let short = Add {
        ttl_seconds: Some(1),
        ..text("brief")
    };
    let id = add(store, &call, short).await.id;
    let gone = async || store.get(&call, get(&id)).await.err();
    let error = until("the expiry", gone).await;
    assert_eq!(error.code(), "not_found");
    assert_eq!(found(store, &call, "brief").await, Vec::<String>::new());
    assert_unknown(store.update(&call, update(&id)).await, &id);
    assert_unknown(store.delete(&call, delete(&id)).await, &id);
}

async fn owners_do_not_see_each_other(store: &Store, mine: Call, theirs: Call) {
    let id = add(store, &mine, text("secret")).await.id;
    let overwrite = Update {
        content: Some("overwritten".to_owned()),
        ..update(&id)
    };
    assert_unknown(store.get(&theirs, get(&id)).await, &id);
    assert_unknown(store.update(&theirs, overwrite.clone()).await, &id);
    assert_unknown(store.delete(&theirs, delete(&id)).await, &id);
    assert_eq!(found(store, &theirs, "secret").await, Vec::<String>::new());
    let mut results = store
        .batch(
            &theirs,
            vec![
                Operation::Get(get(&id)),
                Operation::Update(overwrite),
                Operation::Delete(delete(&id)),
                Operation::Search(
                    serde_json::from_value(json!({"query": "secret", "limit": 5})).unwrap(),
                ),
            ],
        )
        .await
        .unwrap();
    match results.pop() {
        Some(Ok(Outcome::Found(found))) => assert_eq!(found.memories, []),
        other => panic!("{other:?}"),
    }
    for result in results {
        assert_unknown(result, &id);
    }
    assert_eq!(found(store, &mine, "secret").await, ["secret"]);
}

async fn a_batch_runs_in_order_and_each_by_itself(store: &Store, call: Call) {
    let id = add(store, &call, text("target")).await.id;
    let unknown = MemoryId::generate();
    let change = |content: &str, version| {
        Operation::Update(Update {
            content: Some(content.to_owned()),
            version,
            ..update(&id)
        })
    };
    let search = || {
        Operation::Search(serde_json::from_value(json!({"query": "okapi", "limit": 9})).unwrap())
    };
    let batch = vec![
        search(),
        Operation::Add(text("okapi one")),
        change("changed okapi", Some(1)),
        change("never", Some(1)),
        Operation::Get(get(&unknown)),
        search(),
        Operation::Delete(delete(&id)),
        Operation::Get(get(&id)),
        Operation::Add(text("okapi two")),
    ];
    let results = store.batch(&call, batch).await.unwrap();
    let brief: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(Outcome::Added(_)) => "added".to_owned(),
            Ok(Outcome::Found(found)) => format!("found {}", found.memories.len()),
            Ok(Outcome::Memory(memory)) => memory.content.clone(),
            Ok(Outcome::Updated(updated)) => format!("version {}", updated.version),
            Ok(Outcome::Deleted(_)) => "deleted".to_owned(),
            Err(error) => error.code().to_owned(),
        })
        .collect();
    let expect = [
        "found 0",
        "added",
        "version 2",
        "version_conflict",
        "not_found",
        "found 2",
        "deleted",
        "not_found",
        "added",
    ];
    assert_eq!(brief, expect);
    assert_eq!(found(store, &call, "okapi").await.len(), 2);
    let reads = vec![
        Operation::Get(get(&id)),
        search(),
        Operation::Get(get(&unknown)),
    ];
    let reads = store.batch(&call, reads).await.unwrap();
    assert_eq!(
        reads.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true, false]
    );
}

async fn simultaneous_writes_are_all_kept(store: &Store, call: Call) {
    let mut adds = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (store, call) = (store.clone(), call.clone());
        adds.spawn(async move { add(&store, &call, text(&format!("gnu {n}"))).await.id });
    }
    for id in adds.join_all().await {
        store.get(&call, get(&id)).await.unwrap();
    }
}
