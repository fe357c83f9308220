//! Redis killed, hung, back with old content, never there: no call fails, none is late by more than
//! a deadline, and it is used again by itself.

use std::{sync::Arc, time::Duration};

use mcp_server::{
    adapters::SharedConfig,
    call::Call,
    memory::{MemoryId, Update},
    ports::{MemoryStore, Readiness},
};
use tokio::{task::JoinSet, time::Instant};

use super::{Node, fill, report, unhurried};
use crate::{
    contract::{call, get},
    support::{
        postgres::Postgres,
        redis::{Redis, endpoint, sharing},
        until, within,
    },
};

const MEMORIES: usize = 400;
const READERS: usize = 8;
/// Long enough that a busy machine does not pass for a Redis that hangs.
const DEADLINE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(500);
/// How much later a call may be on a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(900);

fn hurried(config: SharedConfig) -> SharedConfig {
    SharedConfig {
        deadline: DEADLINE,
        pause: PAUSE,
        ..config
    }
}

/// Reads every memory once, by several readers, past this process's copies: how long each took.
async fn read_all(node: &Node, call: &Call, ids: &[MemoryId]) -> Vec<Duration> {
    let mut readers = JoinSet::new();
    for chunk in ids.chunks(ids.len() / READERS) {
        let (cached, call, chunk) = (node.cached.clone(), call.clone(), chunk.to_vec());
        readers.spawn(async move {
            let mut took = Vec::new();
            for id in chunk {
                let began = Instant::now();
                cached.get(&call, get(&id)).await.unwrap();
                took.push(began.elapsed());
            }
            took
        });
    }
    let mut took = within("the readers", readers.join_all()).await.concat();
    took.sort();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

/// Memories in the database that this node has no copies of.
async fn filled(database: &Postgres, config: SharedConfig) -> (Node, Call, Vec<MemoryId>) {
    let other = Node::begin(
        database,
        crate::support::redis::sharing(SharedConfig::default()),
    )
    .await;
    let call = call();
    let store = other.store.clone() as Arc<dyn MemoryStore>;
    let ids = fill(&store, &call, MEMORIES).await;
    other.end().await;
    (Node::begin(database, sharing(config)).await, call, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_costs_a_deadline_until_it_is_left_alone() {
    let (Some(database), Some(redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let (node, call, ids) = filled(&database, hurried(redis.config())).await;
    let (first, rest) = ids.split_at(MEMORIES / 2);
    let before = read_all(&node, &call, first).await;
    redis.hang();
    let during = read_all(&node, &call, rest).await;
    let shared = node.shared();
    report(&format!(
        "Redis hung: 0 of {} reads failed, p99 {:?} (before {:?}), longest {:?} of {DEADLINE:?} more; \
         {} calls were given up and {} not made",
        rest.len(),
        p99(&during),
        p99(&before),
        during[during.len() - 1],
        shared.failed,
        shared.left_alone,
    ));
    assert!(during[during.len() - 1] < DEADLINE + SLACK, "{during:?}");
    // Five in a row open it; those that were away by then, and one trial for each pause, come on top.
    let trials = during.iter().sum::<Duration>().as_millis() / PAUSE.as_millis() + 2;
    let most = 5 + READERS as u64 + 2 + u64::try_from(trials).unwrap();
    assert!(shared.failed >= 5 && shared.failed <= most, "{shared:?}");
    assert!(shared.left_alone > 0, "{shared:?}");
    let said = node.cached.check().await.unwrap_err();
    assert!(said.contains("Redis is not used"), "{said}");
    redis.go_on();
    let back = Instant::now();
    until("Redis to be used again", async || {
        node.cached.check().await.ok()
    })
    .await;
    report(&format!(
        "Redis used again {:?} after it went on",
        back.elapsed()
    ));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_is_missed_by_nobody_and_its_old_content_is_not_believed() {
    let (Some(database), Some(mut redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let (node, call, ids) = filled(&database, hurried(redis.config())).await;
    let (first, rest) = ids.split_at(MEMORIES / 2);
    let before = read_all(&node, &call, first).await;
    node.stored(first.len() as u64).await;
    redis.save();
    let kept = redis.keys().len() as u64;
    redis.kill();
    let during = read_all(&node, &call, rest).await;
    report(&format!(
        "Redis killed: 0 of {} reads failed, p99 {:?} (before {:?}), longest {:?}",
        rest.len(),
        p99(&during),
        p99(&before),
        during[during.len() - 1],
    ));
    assert!(during[during.len() - 1] < DEADLINE + SLACK, "{during:?}");
    assert!(node.cached.check().await.is_err());
    // Meanwhile everything changes, and then it is back with what it had.
    for id in first {
        let update = Update {
            id: id.clone(),
            content: Some("changed meanwhile".to_owned()),
            tags: None,
            metadata: None,
            version: None,
        };
        node.store.update(&call, update).await.unwrap();
    }
    redis.start_again().await;
    assert_eq!(redis.keys().len() as u64, kept);
    let other = Node::begin_knowing(&database, unhurried(redis.config()), MEMORIES as u64).await;
    for reader in [&other, &node] {
        for id in first {
            let memory = reader.cached.get(&call, get(id)).await.unwrap();
            assert_eq!(memory.content, "changed meanwhile");
        }
    }
    let shared = other.shared();
    report(&format!(
        "Redis back with {kept} old answers: 0 stale reads of {}; {} were refused",
        2 * first.len(),
        shared.refused
    ));
    assert_eq!((shared.hits, shared.refused), (0, kept), "{shared:?}");
    until("Redis to be used again", async || {
        node.cached.check().await.ok()
    })
    .await;
    node.end().await;
    other.end().await;
}

/// A start without it, whatever is wrong with its address, is a start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_never_there_is_no_error() {
    let Some(database) = Postgres::start().await else {
        return;
    };
    let nowhere = format!("127.0.0.1:{}", crate::support::redis::free_port());
    for address in [nowhere.as_str(), "redis-nowhere.invalid:6379"] {
        let (node, call, ids) = filled(&database, hurried(endpoint(address))).await;
        let took = read_all(&node, &call, &ids).await;
        assert!(
            took[took.len() - 1] < DEADLINE + SLACK,
            "{address}: {took:?}"
        );
        let shared = node.shared();
        assert_eq!((shared.hits, shared.stored), (0, 0), "{shared:?}");
        assert!(shared.left_alone > 0, "{address}: {shared:?}");
        assert!(node.cached.check().await.is_err());
        node.end().await;
    }
    // A cluster none of whose nodes is there.
    let mut cluster = endpoint("redis-node1.invalid:6379");
    cluster.endpoints = [cluster.endpoints.clone(), endpoint(&nowhere).endpoints].concat();
    let (node, call, ids) = filled(&database, hurried(cluster)).await;
    read_all(&node, &call, &ids[..READERS * 2]).await;
    assert!(node.cached.check().await.is_err());
    node.end().await;
}
