//! What every [`MemoryStore`] must do, whatever it is made of. A store's tests hand it to
//! [`check`]; each clause works as an owner of its own, so the store need not be empty.

use std::sync::Arc;

use mcp_server::{
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
    what_is_added_is_read_back(&store, owner()).await;
    an_update_changes_what_it_names(&store, owner()).await;
    a_stale_version_is_refused(&store, owner()).await;
    of_simultaneous_updates_one_wins(&store, owner()).await;
    what_is_deleted_is_gone(&store, owner()).await;
    a_memory_expires(&store, owner()).await;
    owners_do_not_see_each_other(&store, owner(), owner()).await;
    namespaces_narrow_a_search(&store, owner()).await;
    all_tags_must_match(&store, owner()).await;
    better_matches_come_first(&store, owner()).await;
    any_text_is_kept_and_searchable(&store, owner()).await;
    no_query_is_an_error(&store, owner()).await;
    a_batch_runs_in_order_and_each_by_itself(&store, owner()).await;
    simultaneous_writes_are_all_kept(&store, owner()).await;
}

pub(crate) fn owner() -> Owner {
    Owner::new(MemoryId::generate().as_str())
}

pub(crate) fn text(content: &str) -> Add {
    Add {
        content: content.to_owned(),
        ..Add::default()
    }
}

pub(crate) async fn add(store: &Store, owner: &Owner, add: Add) -> Added {
    store.add(owner, add).await.unwrap()
}

pub(crate) async fn hits(store: &Store, owner: &Owner, search: Value) -> Vec<Hit> {
    let mut search: Search = serde_json::from_value(search).unwrap();
    search.limit.get_or_insert(10);
    store.search(owner, search).await.unwrap().memories
}

/// The contents of what a query finds, best match first.
async fn found(store: &Store, owner: &Owner, query: &str) -> Vec<String> {
    let hits = hits(store, owner, json!({"query": query})).await;
    hits.into_iter().map(|hit| hit.memory.content).collect()
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

async fn what_is_added_is_read_back(store: &Store, owner: Owner) {
    let all: Add = serde_json::from_value(json!({
        "content": "all fields", "namespace": "work", "tags": ["b", "a", "b"],
        "metadata": {"n": 1.5, "deep": {"list": [null, true, "x"]}}, "ttl_seconds": 3600,
    }))
    .unwrap();
    let added = add(store, &owner, all.clone()).await;
    let memory = store.get(&owner, get(&added.id)).await.unwrap();
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

    let second = add(store, &owner, text("content only")).await;
    let memory = store.get(&owner, get(&second.id)).await.unwrap();
    assert_eq!(memory.namespace, "default");
    assert_eq!((memory.tags.len(), memory.metadata.len()), (0, 0));
    assert_eq!(memory.expires_at, None);
    assert!(second.id.as_str() > added.id.as_str(), "ids sort by age");

    let again = add(store, &owner, text("content only")).await;
    assert_ne!(again.id, second.id, "equal texts are two memories");
    let unknown = MemoryId::generate();
    assert_unknown(store.get(&owner, get(&unknown)).await, &unknown);
}

async fn an_update_changes_what_it_names(store: &Store, owner: Owner) {
    let first: Add =
        serde_json::from_value(json!({"content": "walrus", "tags": ["old"], "metadata": {"a": 1}}))
            .unwrap();
    let id = add(store, &owner, first).await.id;
    let changes = [
        json!({"id": id, "content": "penguin"}),
        json!({"id": id, "tags": ["new", "newer"]}),
        json!({"id": id, "metadata": {"b": 2}}),
        json!({"id": id, "tags": []}),
    ];
    for (version, change) in (2..).zip(changes) {
        let change: Update = serde_json::from_value(change).unwrap();
        let before = store.get(&owner, get(&id)).await.unwrap();
        let updated = store.update(&owner, change.clone()).await.unwrap();
        let after = store.get(&owner, get(&id)).await.unwrap();
        assert_eq!((updated.version, after.version), (version, version));
        assert_eq!(updated.updated_at, after.updated_at);
        assert!(after.updated_at >= before.updated_at);
        assert_eq!(after.created_at, before.created_at);
        assert_eq!(after.content, change.content.unwrap_or(before.content));
        assert_eq!(after.tags, change.tags.unwrap_or(before.tags));
        assert_eq!(after.metadata, change.metadata.unwrap_or(before.metadata));
    }
    assert_eq!(found(store, &owner, "walrus").await, Vec::<String>::new());
    assert_eq!(found(store, &owner, "penguin").await, ["penguin"]);
    let unknown = MemoryId::generate();
    assert_unknown(store.update(&owner, update(&unknown)).await, &unknown);
}

async fn a_stale_version_is_refused(store: &Store, owner: Owner) {
    let id = add(store, &owner, text("first")).await.id;
    let change = |content: &str, version| Update {
        content: Some(content.to_owned()),
        version: Some(version),
        ..update(&id)
    };
    store.update(&owner, change("second", 1)).await.unwrap();
    for stale in [0, 1, 3, u64::MAX] {
        match store.update(&owner, change("third", stale)).await {
            Err(MemoryError::VersionConflict {
                id: named,
                expected,
                actual,
            }) => assert_eq!((named, expected, actual), (id.clone(), stale, 2)),
            other => panic!("version {stale}: {other:?}"),
        }
    }
    let memory = store.get(&owner, get(&id)).await.unwrap();
    assert_eq!((memory.content.as_str(), memory.version), ("second", 2));
    store.update(&owner, change("third", 2)).await.unwrap();
}

async fn of_simultaneous_updates_one_wins(store: &Store, owner: Owner) {
    let id = add(store, &owner, text("contested")).await.id;
    let mut updates = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (store, owner) = (store.clone(), owner.clone());
        let change = Update {
            content: Some(n.to_string()),
            version: Some(1),
            ..update(&id)
        };
        updates.spawn(async move { store.update(&owner, change).await.is_ok() });
    }
    let won = updates.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(store.get(&owner, get(&id)).await.unwrap().version, 2);
}

async fn what_is_deleted_is_gone(store: &Store, owner: Owner) {
    let id = add(store, &owner, text("ephemeral")).await.id;
    let kept = add(store, &owner, text("ephemeral too")).await.id;
    let deleted = store.delete(&owner, delete(&id)).await.unwrap();
    assert_eq!((&deleted.id, deleted.deleted), (&id, true));
    assert_unknown(store.get(&owner, get(&id)).await, &id);
    assert_unknown(store.update(&owner, update(&id)).await, &id);
    assert_unknown(store.delete(&owner, delete(&id)).await, &id);
    assert_eq!(found(store, &owner, "ephemeral").await, ["ephemeral too"]);
    store.get(&owner, get(&kept)).await.unwrap();
}

async fn a_memory_expires(store: &Store, owner: Owner) {
    let short = Add {
        ttl_seconds: Some(1),
        ..text("brief")
    };
    let id = add(store, &owner, short).await.id;
    let gone = async || match store.get(&owner, get(&id)).await {
        Ok(_) => None,
        Err(error) => Some(error),
    };
    let error = until("the expiry", gone).await;
    assert_eq!(error.code(), "not_found");
    assert_eq!(found(store, &owner, "brief").await, Vec::<String>::new());
    assert_unknown(store.update(&owner, update(&id)).await, &id);
    assert_unknown(store.delete(&owner, delete(&id)).await, &id);
}

async fn owners_do_not_see_each_other(store: &Store, mine: Owner, theirs: Owner) {
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

async fn namespaces_narrow_a_search(store: &Store, owner: Owner) {
    for (content, namespace) in [
        ("fox one", None),
        ("fox two", Some("a")),
        ("fox three", Some("b")),
    ] {
        let namespace = namespace.map(str::to_owned);
        add(
            store,
            &owner,
            Add {
                namespace,
                ..text(content)
            },
        )
        .await;
    }
    let check = async |namespace: Value, expect: &[&str]| {
        let search = json!({"query": "fox", "namespace": namespace});
        let mut contents: Vec<_> = hits(store, &owner, search)
            .await
            .into_iter()
            .map(|hit| hit.memory.content)
            .collect();
        contents.sort();
        assert_eq!(contents, expect, "{namespace}");
    };
    check(Value::Null, &["fox one", "fox three", "fox two"]).await;
    check(json!("default"), &["fox one"]).await;
    check(json!("a"), &["fox two"]).await;
    check(json!("A"), &[]).await;
    check(json!("%"), &[]).await;
}

async fn all_tags_must_match(store: &Store, owner: Owner) {
    for (content, tags) in [
        ("owl none", vec![]),
        ("owl red", vec!["red"]),
        ("owl both", vec!["blue", "red"]),
        ("owl odd", vec!["it's \"odd\"", "\\", "日本", "null"]),
    ] {
        let tags = tags.into_iter().map(str::to_owned).collect();
        add(
            store,
            &owner,
            Add {
                tags,
                ..text(content)
            },
        )
        .await;
    }
    let check = async |tags: Value, expect: &[&str]| {
        let search = json!({"query": "owl", "tags": tags});
        let mut contents: Vec<_> = hits(store, &owner, search)
            .await
            .into_iter()
            .map(|hit| hit.memory.content)
            .collect();
        contents.sort();
        assert_eq!(contents, expect, "{tags}");
    };
    check(json!([]), &["owl both", "owl none", "owl odd", "owl red"]).await;
    check(json!(["red"]), &["owl both", "owl red"]).await;
    check(json!(["red", "blue"]), &["owl both"]).await;
    check(json!(["red", "green"]), &[]).await;
    check(json!(["re"]), &[]).await;
    check(json!(["RED"]), &[]).await;
    for odd in ["it's \"odd\"", "\\", "日本", "null"] {
        check(json!([odd]), &["owl odd"]).await;
    }
}

async fn better_matches_come_first(store: &Store, owner: Owner) {
    for content in [
        "the harbour at night, with a great many other words that have nothing to do with it",
        "lighthouse",
        "the lighthouse at the harbour",
        "unrelated",
        "the sea",
        "the sky",
        "the land",
    ] {
        add(store, &owner, text(content)).await;
    }
    let search = json!({"query": "Lighthouse, harbour!"});
    let ranked = hits(store, &owner, search).await;
    assert_eq!(ranked.len(), 3);
    assert_eq!(ranked[0].memory.content, "the lighthouse at the harbour");
    assert!(ranked[2].memory.content.starts_with("the harbour at night"));
    assert!(ranked.is_sorted_by(|a, b| a.score >= b.score), "{ranked:?}");
    assert!(ranked.iter().all(|hit| hit.score > 0.0), "{ranked:?}");
    let limited = hits(
        store,
        &owner,
        json!({"query": "lighthouse harbour", "limit": 2}),
    )
    .await;
    assert_eq!(limited, ranked[..2]);
}

async fn any_text_is_kept_and_searchable(store: &Store, owner: Owner) {
    let long = "word ".repeat(20_000);
    for (content, query) in [
        ("Zürich café", "zurich CAFE"),
        ("Преступление и наказание", "НАКАЗАНИЕ"),
        ("東京 タワー", "東京"),
        ("shipped 🚀 in v2.10.3", "v2"),
        ("e\u{301}tude (decomposed)", "étude"),
        ("running runs ran", "run"),
        (
            "tabs\tand\nlines\r\nand 'quotes' \"twice\"; DROP TABLE memory",
            "drop",
        ),
        ("\u{202e}bidi\u{200b}zero\u{feff}", "bidi"),
        (long.as_str(), "word"),
        ("before\u{0}behind", "before"),
    ] {
        let id = add(store, &owner, text(content)).await.id;
        let memory = store.get(&owner, get(&id)).await.unwrap();
        assert_eq!(memory.content, content);
        assert_eq!(found(store, &owner, query).await, [content], "{query}");
    }
}

async fn no_query_is_an_error(store: &Store, owner: Owner) {
    add(store, &owner, text("plain words, AND OR NOT NEAR")).await;
    let long = "longlonglong ".repeat(1_000);
    for (query, finds) in [
        ("plain", 1),
        ("AND", 1),
        ("NOT plain", 1),
        ("NEAR(plain words, 5)", 1),
        ("content:plain", 1),
        ("pla*", 0),
        ("^plain", 1),
        ("\"plain", 1),
        ("plain')--", 1),
        ("(((", 0),
        ("🚀", 0),
        ("\u{0}", 0),
        ("{}[]:;", 0),
        (long.as_str(), 0),
    ] {
        assert_eq!(found(store, &owner, query).await.len(), finds, "{query:?}");
    }
}

async fn a_batch_runs_in_order_and_each_by_itself(store: &Store, owner: Owner) {
    let id = add(store, &owner, text("target")).await.id;
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
    let results = store.batch(&owner, batch).await.unwrap();
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
    assert_eq!(found(store, &owner, "okapi").await.len(), 2);
    let reads = vec![
        Operation::Get(get(&id)),
        search(),
        Operation::Get(get(&unknown)),
    ];
    let reads = store.batch(&owner, reads).await.unwrap();
    assert_eq!(
        reads.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true, false]
    );
}

async fn simultaneous_writes_are_all_kept(store: &Store, owner: Owner) {
    let mut adds = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (store, owner) = (store.clone(), owner.clone());
        adds.spawn(async move { add(&store, &owner, text(&format!("gnu {n}"))).await.id });
    }
    for id in adds.join_all().await {
        store.get(&owner, get(&id)).await.unwrap();
    }
}
