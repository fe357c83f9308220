//! A process that begins finds what those before it have read.

use std::{collections::HashSet, sync::Arc, time::Duration};

use mcp_server::{
    adapters::CacheConfig,
    memory::{MemoryId, Operation, Outcome, Update},
    ports::MemoryStore,
};
use serde_json::json;

use super::{Node, report, unhurried};
use crate::{
    contract::{call, get, hits, text},
    support::{postgres::Postgres, redis::Redis, until},
};

const MEMORIES: usize = 1_500;
const OPERATIONS: usize = 3_000;
/// What is replayed after the restart.
const REPLAYED: usize = 1_000;

enum Asked {
    Memory(usize),
    Search(String),
    Update(usize),
}

/// 70 % searches of 60 questions, 22 % reads, 8 % updates, the lower numbers the likelier.
fn traffic() -> Vec<Asked> {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |end: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap() % end
    };
    let mut rank = |end: usize| {
        let end = below(end) + 1;
        below(end)
    };
    let mut asked = Vec::new();
    for n in 0..OPERATIONS {
        asked.push(match n % 100 {
            0..70 => Asked::Search(format!("plover {} word{}", rank(30), rank(2))),
            70..92 => Asked::Memory(rank(300)),
            _ => Asked::Update(rank(300)),
        });
    }
    asked
}

struct Replayed {
    reads: u64,
    hits: u64,
    /// Reads that nobody had made in this process before, and those of them that were found.
    first: u64,
}

async fn replay(
    node: &Node,
    call: &mcp_server::call::Call,
    ids: &[MemoryId],
    traffic: &[Asked],
) -> Replayed {
    let store = node.cached.clone() as Arc<dyn MemoryStore>;
    let before = node.cached.stats();
    let (mut reads, mut seen) = (0, HashSet::new());
    for (n, asked) in traffic.iter().enumerate() {
        match asked {
            Asked::Memory(at) => {
                store.get(call, get(&ids[*at])).await.unwrap();
                seen.insert(at.to_string());
                reads += 1;
            }
            Asked::Search(query) => {
                hits(&store, call, json!({"query": query})).await;
                seen.insert(query.clone());
                reads += 1;
            }
            Asked::Update(at) => {
                let update = Update {
                    id: ids[*at].clone(),
                    content: Some(format!("plover {at} word{} again {n}", at % 7)),
                    tags: None,
                    metadata: None,
                    version: None,
                };
                store.update(call, update).await.unwrap();
            }
        }
    }
    let after = node.cached.stats();
    let shared = node.cached.shared_stats().map_or(0, |shared| shared.hits);
    Replayed {
        reads,
        hits: after.hits - before.hits + shared,
        first: seen.len() as u64,
    }
}

/// Hits after a restart, the same traffic: 80 % is asked for, within a minute, which these few
/// seconds are less than.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_begins_is_warm() {
    let (Some(database), Some(redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    let config = unhurried(redis.config());
    let first = Node::begin(&database, config.clone()).await;
    let call = call();
    let mut ids = Vec::new();
    for begun in (0..MEMORIES).step_by(50) {
        let add = |n: usize| Operation::Add(text(&format!("plover {n} word{}", n % 7)));
        let adds = (begun..begun + 50).map(add).collect();
        for added in first.store.batch(&call, adds).await.unwrap() {
            match added.unwrap() {
                Outcome::Added(added) => ids.push(added.id),
                other => panic!("{other:?}"),
            }
        }
    }
    let traffic = traffic();
    replay(&first, &call, &ids, &traffic).await;
    let mut last = None;
    until("all answers to be stored", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = first.shared().stored;
        (last.replace(now) == Some(now)).then_some(())
    })
    .await;
    first.end().await;

    let replayed = &traffic[OPERATIONS - REPLAYED..];
    let mut shares = Vec::new();
    for config in [config, CacheConfig::default()] {
        let node = match config.redis.enabled {
            true => Node::begin_knowing(&database, config, 500).await,
            false => Node::begin(&database, config).await,
        };
        let done = replay(&node, &call, &ids, replayed).await;
        let shared = node.cached.shared_stats().map_or(0, |shared| shared.hits);
        let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole as f64;
        let share = percent(done.hits, done.reads);
        report(&format!(
            "after a restart: {share:.1} % of {} reads hit; of {} first ones {:.1} % by Redis; {:?}",
            done.reads,
            done.first,
            percent(shared, done.first),
            node.cached.shared_stats(),
        ));
        shares.push(share);
        node.end().await;
    }
    assert!(shares[0] >= 80.0, "{shares:?}");
    assert!(
        shares[0] > shares[1],
        "{shares:?}: no better than without it"
    );
}
