//! Lists: what is in them, in which order, and what is not.

use mcp_server::{
    call::Call,
    context::{List, Listed},
};
use serde_json::{Value, json};

use super::{Manager, put};

pub(super) async fn list(manager: &Manager, call: &Call, list: Value) -> Listed {
    let mut list: List = serde_json::from_value(list).unwrap();
    list.budget_tokens.get_or_insert(1_000);
    manager.list(call, list).await.unwrap()
}

/// The ids of what is listed, in order.
async fn ids(manager: &Manager, call: &Call, asked: Value) -> Vec<String> {
    let listed = list(manager, call, asked).await;
    let ids = listed.contexts.into_iter();
    ids.map(|context| context.id.to_string()).collect()
}

async fn put_all(manager: &Manager, call: &Call, puts: impl IntoIterator<Item = Value>) {
    for content in puts {
        put(manager, call, content).await;
    }
}

pub(super) async fn the_newest_come_first(manager: &Manager, call: Call) {
    assert_eq!(list(manager, &call, json!({})).await, Listed::default());
    let puts = ["a", "b", "c", "a"].map(|id| json!({"id": id, "content": id}));
    put_all(manager, &call, puts).await;
    let listed = list(manager, &call, json!({})).await;
    let found: Vec<_> = listed.contexts.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(found, ["a", "c", "b"]);
    assert_eq!((listed.tokens, listed.left_out), (3, Default::default()));
    assert_eq!(listed.contexts[0].version, 2);
    let whole = manager.get(&call, super::get("c")).await.unwrap();
    assert_eq!(listed.contexts[1], *whole);
}

pub(super) async fn classes_and_tags_narrow_a_list(manager: &Manager, call: Call) {
    put_all(
        manager,
        &call,
        [
            json!({"id": "1", "class": "rules", "content": "x", "tags": ["a"]}),
            json!({"id": "2", "class": "rules", "content": "x", "tags": ["b", "a"]}),
            json!({"id": "3", "class": "session", "content": "x", "tags": ["a"]}),
            json!({"id": "4", "content": "x"}),
        ],
    )
    .await;
    for (asked, expect) in [
        (json!({"class": "rules"}), &["2", "1"][..]),
        (json!({"class": "other"}), &["4"]),
        (json!({"class": "result"}), &[]),
        (json!({"tags": ["a"]}), &["3", "2", "1"]),
        (json!({"tags": ["a", "b"]}), &["2"]),
        (json!({"tags": ["b", "a", "b"]}), &["2"]),
        (json!({"tags": ["A"]}), &[]),
        (json!({"class": "session", "tags": ["a"]}), &["3"]),
        (json!({"class": "session", "tags": ["b"]}), &[]),
    ] {
        assert_eq!(ids(manager, &call, asked.clone()).await, expect, "{asked}");
    }
}

pub(super) async fn a_budget_is_kept_and_what_is_left_out_named(manager: &Manager, call: Call) {
    let of = |id: &str, tokens: usize| json!({"id": id, "content": "four".repeat(tokens)});
    let puts = [of("old", 3), of("large", 50), of("mid", 6), of("new", 4)];
    put_all(manager, &call, puts).await;
    for (budget, fits, left_out) in [
        (63, &["new", "mid", "large", "old"][..], &[][..]),
        (62, &["new", "mid", "large"], &["old"]),
        (13, &["new", "mid", "old"], &["large"]),
        (12, &["new", "mid"], &["large", "old"]),
        (3, &["old"], &["new", "mid", "large"]),
        (2, &[], &["new", "mid", "large", "old"]),
    ] {
        let listed = list(manager, &call, json!({"budget_tokens": budget})).await;
        let found: Vec<_> = listed.contexts.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(found, fits, "{budget}");
        let tokens: u64 = listed.contexts.iter().map(|context| context.tokens).sum();
        assert_eq!(listed.tokens, tokens, "{budget}");
        assert!(tokens <= budget, "{budget}");
        let out = &listed.left_out;
        let named: Vec<_> = out.contexts.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(named, left_out, "{budget}");
        assert_eq!(
            (out.count, out.tokens),
            (left_out.len() as u64, 63 - tokens)
        );
        assert!(!out.older, "{budget}");
    }
}

pub(super) async fn a_query_lists_the_most_relevant_first(manager: &Manager, call: Call) {
    put_all(
        manager,
        &call,
        [
            json!({"id": "deploy", "content": "How to deploy the staging server"}),
            json!({"id": "lunch", "content": "The lunch menu"}),
            json!({"id": "db", "content": {"staging": "database", "server": "staging-db.local"}}),
            json!({"id": "tagged", "content": "Nothing else", "tags": ["staging"]}),
        ],
    )
    .await;
    for (query, expect) in [
        ("staging databases", &["db", "tagged", "deploy"][..]),
        ("LUNCH", &["lunch"]),
        ("deploying the server", &["deploy", "lunch", "db"]),
        ("absent", &[]),
        ("… !", &[]),
        ("db", &["db"]),
    ] {
        let found = ids(manager, &call, json!({"query": query})).await;
        assert_eq!(found, expect, "{query}");
    }
    let narrow = json!({"query": "staging", "tags": ["staging"]});
    assert_eq!(ids(manager, &call, narrow).await, ["tagged"]);
    let listed = list(
        manager,
        &call,
        json!({"query": "staging", "budget_tokens": 3}),
    )
    .await;
    assert_eq!(listed.contexts.len(), 1);
    assert_eq!(listed.left_out.count, 2, "the lunch menu was not asked for");
}

pub(super) async fn a_list_sees_what_was_just_put(manager: &Manager, call: Call) {
    for n in 0..20 {
        let id = n.to_string();
        put(manager, &call, json!({"id": id, "content": "x"})).await;
        assert_eq!(ids(manager, &call, json!({})).await[0], id);
    }
}

pub(super) async fn owners_list_their_own(manager: &Manager, mine: Call, theirs: Call) {
    put(manager, &mine, json!({"id": "a", "content": "secret"})).await;
    assert_eq!(list(manager, &theirs, json!({})).await, Listed::default());
    let asked = json!({"query": "secret"});
    assert_eq!(list(manager, &theirs, asked).await, Listed::default());
    assert_eq!(ids(manager, &mine, json!({})).await, ["a"]);
}
