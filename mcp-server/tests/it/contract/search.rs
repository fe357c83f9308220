//! The contract's clauses on searching.

use mcp_server::{call::Call, memory::Add};
use serde_json::{Value, json};

use super::{Store, add, found, get, hits, text};

pub(super) async fn namespaces_narrow_a_search(store: &Store, call: Call) {
    for (content, namespace) in [
        ("fox one", None),
        ("fox two", Some("a")),
        ("fox three", Some("b")),
    ] {
        let namespace = namespace.map(str::to_owned);
        add(
            store,
            &call,
            Add {
                namespace,
                ..text(content)
            },
        )
        .await;
    }
    let check = async |namespace: Value, expect: &[&str]| {
        let search = json!({"query": "fox", "namespace": namespace});
        let mut contents: Vec<_> = hits(store, &call, search)
            .await
            .into_iter()
            .map(|hit| hit.memory.content.clone())
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

pub(super) async fn all_tags_must_match(store: &Store, call: Call) {
    for (content, tags) in [
        ("owl none", vec![]),
        ("owl red", vec!["red"]),
        ("owl both", vec!["blue", "red"]),
        ("owl odd", vec!["it's \"odd\"", "\\", "日本", "null"]),
    ] {
        let tags = tags.into_iter().map(str::to_owned).collect();
        add(
            store,
            &call,
            Add {
                tags,
                ..text(content)
            },
        )
        .await;
    }
    let check = async |tags: Value, expect: &[&str]| {
        let search = json!({"query": "owl", "tags": tags});
        let mut contents: Vec<_> = hits(store, &call, search)
            .await
            .into_iter()
            .map(|hit| hit.memory.content.clone())
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

pub(super) async fn better_matches_come_first(store: &Store, call: Call) {
    for content in [
        "the harbour at night, with a great many other words that have nothing to do with it",
        "lighthouse",
        "the lighthouse at the harbour",
        "unrelated",
        "the sea",
        "the sky",
        "the land",
    ] {
        add(store, &call, text(content)).await;
    }
    let search = json!({"query": "Lighthouse, harbour!"});
    let ranked = hits(store, &call, search).await;
    assert_eq!(ranked.len(), 3);
    assert_eq!(ranked[0].memory.content, "the lighthouse at the harbour");
    assert!(ranked[2].memory.content.starts_with("the harbour at night"));
    assert!(ranked.is_sorted_by(|a, b| a.score >= b.score), "{ranked:?}");
    assert!(ranked.iter().all(|hit| hit.score > 0.0), "{ranked:?}");
    let limited = hits(
        store,
        &call,
        json!({"query": "lighthouse harbour", "limit": 2}),
    )
    .await;
    assert_eq!(limited, ranked[..2]);
}

pub(super) async fn any_text_is_kept_and_searchable(store: &Store, call: Call) {
    let long = "word ".repeat(20_000);
    for (content, query) in [
        ("Zürich café", "zurich CAFE"),
        ("Преступление и наказание", "НАКАЗАНИЕ"),
        ("東京タワー", "タワー"),
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
        let id = add(store, &call, text(content)).await.id;
        let memory = store.get(&call, get(&id)).await.unwrap();
        assert_eq!(memory.content, content);
        assert_eq!(found(store, &call, query).await, [content], "{query}");
    }
}

pub(super) async fn no_query_is_an_error(store: &Store, call: Call) {
    add(store, &call, text("plain words, AND OR NOT NEAR")).await;
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
        assert_eq!(found(store, &call, query).await.len(), finds, "{query:?}");
    }
}
