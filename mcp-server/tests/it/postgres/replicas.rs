//! A real standby: what is read from it, and what when it is behind or gone.

use std::{sync::Arc, time::Duration};

use mcp_server::{
    memory::postgres::{PostgresConfig, PostgresStore},
    ports::{ChangeFeed, MemoryStore},
};
use serde_json::json;

use crate::{
    contract::{self, add, call, get, hits, text},
    support::{
        postgres::{Postgres, dsn},
        process::folder,
        until,
    },
};

const CHECK_INTERVAL: Duration = Duration::from_millis(200);

async fn open(primary: &Postgres, standby: &Postgres, dir: &std::path::Path) -> Arc<PostgresStore> {
    let config = PostgresConfig {
        read_replicas: vec![dsn(&standby.dsn())],
        replica_check_interval: CHECK_INTERVAL,
        ..primary.config()
    };
    Arc::new(PostgresStore::open(dir, &config).await.unwrap())
}

/// Statements that the standby was asked, those about its role included.
fn lent(store: &PostgresStore, node: usize) -> u64 {
    let pool = &store.nodes()[node].pool;
    pool.checkouts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_spread_and_see_what_was_written() {
    let Some(primary) = Postgres::start().await else {
        return;
    };
    let standby = primary.standby().await;
    let dir = folder();
    let store = open(&primary, &standby, dir.path()).await;
    let roles: Vec<_> = store.nodes().iter().map(|node| node.is_primary).collect();
    assert_eq!(roles, [Some(true), Some(false)]);
    contract::check(store.clone()).await;

    // Read your writes, at once, a hundred times; some of the reads are the standby's.
    let (call, as_store) = (call(), store.clone() as Arc<dyn MemoryStore>);
    let before = lent(&store, 1);
    for n in 0..100 {
        let id = add(&as_store, &call, text(&format!("heron {n}"))).await.id;
        let memory = store.get(&call, get(&id)).await.unwrap();
        assert_eq!(memory.content, format!("heron {n}"));
        let found = hits(&as_store, &call, json!({"query": "heron", "limit": 100})).await;
        assert_eq!(found.len(), n + 1);
    }
    assert!(lent(&store, 1) > before + 100, "the standby is asked");

    // What another process has written is seen, too, by whoever was told of it.
    let there = folder();
    let other = open(&primary, &standby, there.path()).await;
    for n in 0..50 {
        let id = add(&as_store, &call, text(&format!("egret {n}"))).await.id;
        other.changes(None, 1).await.unwrap();
        other.get(&call, get(&id)).await.unwrap();
    }
    other.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_behind_or_gone_answers_nothing() {
    let Some(primary) = Postgres::start().await else {
        return;
    };
    let mut standby = primary.standby().await;
    let dir = folder();
    let store = open(&primary, &standby, dir.path()).await;
    let (call, as_store) = (call(), store.clone() as Arc<dyn MemoryStore>);
    let pause = standby.client().await;
    pause
        .batch_execute("SELECT pg_wal_replay_pause()")
        .await
        .unwrap();
    for n in 0..20 {
        let id = add(&as_store, &call, text(&format!("stilt {n}"))).await.id;
        store.get(&call, get(&id)).await.unwrap();
        let found = hits(&as_store, &call, json!({"query": "stilt", "limit": 100})).await;
        assert_eq!(found.len(), n + 1, "the standby lags");
    }
    pause
        .batch_execute("SELECT pg_wal_replay_resume()")
        .await
        .unwrap();
    drop(pause);

    standby.kill().await;
    let killed = tokio::time::Instant::now();
    let id = add(&as_store, &call, text("avocet")).await.id;
    store.get(&call, get(&id)).await.unwrap();
    until("the standby to be out", async || {
        store.nodes()[1].is_primary.is_none().then_some(())
    })
    .await;
    let out = killed.elapsed();
    standby.start_again().await;
    until("the standby to be back", async || {
        store.nodes()[1].is_primary
    })
    .await;
    report(&format!(
        "a dead standby was out after {out:?}, checked every {CHECK_INTERVAL:?}"
    ));
    store.close().await;
}

/// Reads go on without the primary; writes say that they may be tried again, and then work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_without_the_primary() {
    let Some(mut primary) = Postgres::start().await else {
        return;
    };
    let standby = primary.standby().await;
    let dir = folder();
    let store = open(&primary, &standby, dir.path()).await;
    let mut call = call();
    let as_store = store.clone() as Arc<dyn MemoryStore>;
    let id = add(&as_store, &call, text("curlew")).await.id;
    // The standby has it before the primary is gone.
    let there = standby.client().await;
    let sequence = "SELECT sequence FROM mcp_server.head WHERE sequence > 0";
    until("the standby", async || {
        there.query_opt(sequence, &[]).await.ok().flatten()
    })
    .await;
    primary.kill().await;
    call.deadline = None;
    until("an answer of the standby", async || {
        store.get(&call, get(&id)).await.ok()
    })
    .await;
    let found = hits(&as_store, &call, json!({"query": "curlew"})).await;
    assert_eq!(found.len(), 1);
    let error = store.add(&call, text("lost")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    primary.start_again().await;
    until("the primary", async || {
        store.add(&call, text("after")).await.ok()
    })
    .await;
    let found = hits(&as_store, &call, json!({"query": "curlew after"})).await;
    assert_eq!(found.len(), 2);
    store.close().await;
}

/// A list of contexts is the primary's where the replica is behind, hangs or is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_contexts_go_on_without_the_standby() {
    use mcp_server::ports::ContextStore;

    let Some(primary) = Postgres::start().await else {
        return;
    };
    let mut standby = primary.standby().await;
    let dir = folder();
    let store = open(&primary, &standby, dir.path()).await;
    let mut call = call();
    let put = |n: usize| serde_json::from_value(json!({"id": n.to_string(), "content": "x"}));
    for n in 0..3 {
        ContextStore::put(&*store, &call, put(n).unwrap())
            .await
            .unwrap();
    }
    let mut failed = 0;
    for trouble in 0..2 {
        match trouble {
            0 => standby.hang(),
            _ => {
                standby.go_on();
                standby.kill().await;
            }
        }
        for _ in 0..20 {
            call.deadline = Some(tokio::time::Instant::now() + Duration::from_secs(4));
            let list = json!({"budget_tokens": 1_000});
            let list = serde_json::from_value(list).unwrap();
            match ContextStore::list(&*store, &call, list).await {
                Ok(listed) => assert_eq!(listed.contexts.len(), 3),
                Err(_) => failed += 1,
            }
        }
    }
    assert_eq!(failed, 0, "of 40 lists");
    store.close().await;
}

#[expect(clippy::print_stderr, reason = "a figure is part of the result")]
fn report(figure: &str) {
    eprintln!("{figure}");
}
