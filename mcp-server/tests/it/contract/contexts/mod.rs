//! What every [`ContextManager`] must do, whatever it keeps in memory. Each clause works as a call
//! of its own, so what is there already does not matter.

mod list;

use std::sync::Arc;

use mcp_server::{
    call::Call,
    context::{Content, Context, ContextError, ContextId, ContextReceipt, Get, Put},
    ports::ContextManager,
};
use serde_json::{Value, json};

use super::call;
use crate::support::until;

type Manager = Arc<dyn ContextManager>;

/// Runs every clause.
pub(crate) async fn check(manager: Manager) {
    what_is_put_is_read_back(&manager, call()).await;
    a_put_replaces_the_whole(&manager, call()).await;
    a_stale_version_is_refused(&manager, call()).await;
    of_simultaneous_puts_one_wins(&manager, call()).await;
    a_context_expires(&manager, call()).await;
    a_put_ends_an_earlier_time_to_live(&manager, call()).await;
    owners_do_not_see_each_other(&manager, call(), call()).await;
    simultaneous_puts_are_all_kept(&manager, call()).await;
    list::the_newest_come_first(&manager, call()).await;
    list::classes_and_tags_narrow_a_list(&manager, call()).await;
    list::a_budget_is_kept_and_what_is_left_out_named(&manager, call()).await;
    list::a_query_lists_the_most_relevant_first(&manager, call()).await;
    list::a_list_sees_what_was_just_put(&manager, call()).await;
    list::owners_list_their_own(&manager, call(), call()).await;
}

pub(crate) async fn put(manager: &Manager, call: &Call, put: Value) -> ContextReceipt {
    let put: Put = serde_json::from_value(put).unwrap();
    manager.put(call, put).await.unwrap()
}

pub(crate) async fn read(manager: &Manager, call: &Call, id: &str) -> Arc<Context> {
    manager.get(call, get(id)).await.unwrap()
}

pub(crate) fn get(id: &str) -> Get {
    Get {
        id: ContextId::from(id.to_owned()),
    }
}

pub(crate) fn text(context: &Context) -> &str {
    match &context.content {
        Content::Text(text) => text,
        Content::Object(_) => panic!("{context:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_unknown<T: std::fmt::Debug>(result: Result<T, ContextError>, id: &str) {
    match result {
        Err(ContextError::NotFound { id: named }) => assert_eq!(named.as_str(), id),
        other => panic!("{id} should be unknown: {other:?}"),
    }
}

#[track_caller]
fn assert_conflict(result: Result<ContextReceipt, ContextError>, expect: (u64, u64)) {
    match result {
        Err(ContextError::VersionConflict {
            expected, actual, ..
        }) => assert_eq!((expected, actual), expect),
        other => panic!("{expect:?} should conflict: {other:?}"),
    }
}

async fn what_is_put_is_read_back(manager: &Manager, call: Call) {
    let object = json!({"steps": [1, null, {"deep": "…"}], "n": 1.5});
    let whole = json!({"id": "all", "class": "session", "content": object, "tags": ["b", "a", "b"],
                       "ttl_seconds": 3600});
    let receipt = put(manager, &call, whole).await;
    let context = read(manager, &call, "all").await;
    assert_eq!(serde_json::to_value(&context.content).unwrap(), object);
    assert_eq!(context.class.as_str(), "session");
    assert_eq!(context.tags, ["b", "a", "b"]);
    assert_eq!((context.version, receipt.version), (1, 1));
    assert_eq!(context.tokens, receipt.tokens);
    assert_eq!(context.tokens, 11, "{}", context.content.as_text());
    assert_eq!(context.updated_at, receipt.updated_at);
    assert_eq!(context.created_at, receipt.updated_at);
    let lives = context.expires_at.unwrap() - context.created_at;
    assert_eq!(lives.total(jiff::Unit::Second).unwrap(), 3600.0);
    assert_eq!(receipt.expires_at, context.expires_at);

    // Text that looks like JSON stays a text.
    let first = put(manager, &call, json!({"content": "{\"a\": 1}"})).await;
    let second = put(manager, &call, json!({"content": "x"})).await;
    assert!(first.id.as_str() < second.id.as_str(), "ids sort by age");
    let context = read(manager, &call, first.id.as_str()).await;
    assert_eq!(text(&context), "{\"a\": 1}");
    assert_eq!(context.class.as_str(), "other");
    assert_eq!((context.tags.len(), context.expires_at), (0, None));
    assert_unknown(manager.get(&call, get("never")).await, "never");
}

async fn a_put_replaces_the_whole(manager: &Manager, call: Call) {
    let first = json!({"id": "a", "class": "rules", "content": "first", "tags": ["x"]});
    put(manager, &call, first).await;
    let before = read(manager, &call, "a").await;
    let receipt = put(
        manager,
        &call,
        json!({"id": "a", "content": {"k": "second"}}),
    )
    .await;
    assert_eq!(receipt.version, 2);
    let after = read(manager, &call, "a").await;
    assert_eq!(after.version, 2);
    assert_eq!(after.content.as_text(), "{\"k\":\"second\"}");
    assert_eq!(after.class.as_str(), "other");
    assert_eq!(after.tags, Vec::<String>::new());
    assert_eq!(after.created_at, before.created_at);
    assert!(after.updated_at >= before.updated_at);
}

async fn a_stale_version_is_refused(manager: &Manager, call: Call) {
    let change = |content: &str, version: u64| {
        let put = json!({"id": "a", "content": content, "version": version});
        manager.put(&call, serde_json::from_value(put).unwrap())
    };
    assert_conflict(change("no base", 1).await, (1, 0));
    change("first", 0).await.unwrap();
    assert_conflict(change("again", 0).await, (0, 1));
    change("second", 1).await.unwrap();
    for stale in [0, 1, 3, u64::MAX] {
        assert_conflict(change("third", stale).await, (stale, 2));
    }
    assert_eq!(text(&*read(manager, &call, "a").await), "second");
    change("third", 2).await.unwrap();
    assert_eq!(text(&*read(manager, &call, "a").await), "third");
}

async fn of_simultaneous_puts_one_wins(manager: &Manager, call: Call) {
    put(manager, &call, json!({"id": "a", "content": "contested"})).await;
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (manager, call) = (manager.clone(), call.clone());
        let put = json!({"id": "a", "content": n.to_string(), "version": 1});
        let put = serde_json::from_value(put).unwrap();
        puts.spawn(async move { manager.put(&call, put).await.is_ok().then_some(n) });
    }
    let won: Vec<i32> = puts.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let context = read(manager, &call, "a").await;
    assert_eq!((text(&context), context.version), (&*won[0].to_string(), 2));
}

async fn a_context_expires(manager: &Manager, call: Call) {
    let brief = json!({"id": "a", "class": "rules", "content": "brief", "ttl_seconds": 1});
    put(manager, &call, brief).await;
    assert_eq!(text(&*read(manager, &call, "a").await), "brief");
    let gone = async || manager.get(&call, get("a")).await.err();
    let error = until("the expiry", gone).await;
    assert_eq!(error.code(), "not_found");
    let listed = list::list(manager, &call, json!({})).await;
    assert_eq!((listed.contexts.len(), listed.left_out.count), (0, 0));
    // What has expired is no base, and what comes after it is new.
    let again = json!({"id": "a", "content": "again", "version": 0});
    assert_eq!(put(manager, &call, again).await.version, 1);
    assert_eq!(text(&*read(manager, &call, "a").await), "again");
}

async fn a_put_ends_an_earlier_time_to_live(manager: &Manager, call: Call) {
    let brief = json!({"id": "a", "content": "brief", "ttl_seconds": 1});
    let receipt = put(manager, &call, brief).await;
    put(manager, &call, json!({"id": "a", "content": "for good"})).await;
    let over = async || (jiff::Timestamp::now() > receipt.expires_at?).then_some(());
    until("the end of the first", over).await;
    assert_eq!(text(&*read(manager, &call, "a").await), "for good");
}

async fn owners_do_not_see_each_other(manager: &Manager, mine: Call, theirs: Call) {
    put(manager, &mine, json!({"id": "a", "content": "secret"})).await;
    read(manager, &mine, "a").await;
    assert_unknown(manager.get(&theirs, get("a")).await, "a");
    let other = put(manager, &theirs, json!({"id": "a", "content": "their own"})).await;
    assert_eq!(other.version, 1);
    assert_eq!(text(&*read(manager, &mine, "a").await), "secret");
    assert_eq!(text(&*read(manager, &theirs, "a").await), "their own");
}

async fn simultaneous_puts_are_all_kept(manager: &Manager, call: Call) {
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (manager, call) = (manager.clone(), call.clone());
        puts.spawn(async move {
            let content = json!({"content": format!("gnu {n}")});
            (n, put(&manager, &call, content).await.id)
        });
    }
    for (n, id) in puts.join_all().await {
        let context = read(manager, &call, id.as_str()).await;
        assert_eq!(text(&context), format!("gnu {n}"));
    }
}
