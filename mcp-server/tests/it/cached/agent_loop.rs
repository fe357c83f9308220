//! How often the cache has the answer when agents search, read and write as they do.

use std::sync::Arc;

use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{Add, Delete, MemoryId, Operation, Search, Update},
    ports::MemoryStore,
};

use super::open;
use crate::{contract::get, support::process::folder};

const NAMESPACES: usize = 8;
const VOCABULARY: usize = 1_000;
const MEMORIES: usize = 2_000;
const QUERIES: usize = 150;
const WARM_UP: usize = 2_000;
const REQUESTS: usize = 4_000;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// A rank, low ones being the likelier, about as by Zipf's law: below a power of two of which
    /// each is as likely.
    fn rank(&mut self, end: usize) -> usize {
        let octaves = (end.ilog2() + 1) as usize;
        let end = end.min(2 << self.below(octaves));
        self.below(end)
    }

    fn words(&mut self, count: usize) -> String {
        let words = (0..count).map(|_| format!("w{}", self.rank(VOCABULARY)));
        words.collect::<Vec<_>>().join(" ")
    }

    fn add(&mut self) -> Add {
        Add {
            content: self.words(20),
            namespace: Some(format!("n{}", self.below(NAMESPACES))),
            ..Add::default()
        }
    }
}

/// 70 % searches, 15 % reads, 10 % adds, 5 % updates, deletes and batches.
async fn request(
    store: &dyn MemoryStore,
    call: &Call,
    random: &mut Random,
    queries: &[Search],
    ids: &mut Vec<MemoryId>,
) -> bool {
    let recent =
        |random: &mut Random, ids: &[MemoryId]| ids[ids.len() - 1 - random.rank(ids.len())].clone();
    match random.below(100) {
        0..70 => {
            let search = queries[random.rank(queries.len())].clone();
            store.search(call, search).await.unwrap();
            return true;
        }
        70..85 => {
            let id = recent(random, ids);
            let _ = store.get(call, get(&id)).await;
            return true;
        }
        85..95 => ids.push(store.add(call, random.add()).await.unwrap().id),
        95..98 => {
            let update = Update {
                id: recent(random, ids),
                content: Some(random.words(20)),
                tags: None,
                metadata: None,
                version: None,
            };
            let _ = store.update(call, update).await;
        }
        98 => {
            let id = ids.swap_remove(random.below(ids.len()));
            let _ = store.delete(call, Delete { id }).await;
        }
        _ => {
            let adds = (0..5).map(|_| Operation::Add(random.add())).collect();
            store.batch(call, adds).await.unwrap();
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_of_ten_reads_are_answered_from_the_cache() {
    let dir = folder();
    let (sqlite, cached) = open(dir.path(), &CacheConfig::default());
    let call = Call::local();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut ids = Vec::new();
    for _ in 0..MEMORIES / 50 {
        let adds = (0..50).map(|_| Operation::Add(random.add())).collect();
        for result in sqlite.batch(&call, adds).await.unwrap() {
            if let mcp_server::memory::Outcome::Added(added) = result.unwrap() {
                ids.push(added.id);
            }
        }
    }
    let queries: Vec<_> = (0..QUERIES)
        .map(|_| Search {
            query: random.words(2),
            namespace: Some(format!("n{}", random.below(NAMESPACES))),
            ..Search::default()
        })
        .collect();
    let store: Arc<dyn MemoryStore> = cached.clone();
    for _ in 0..WARM_UP {
        request(&*store, &call, &mut random, &queries, &mut ids).await;
    }
    let before = cached.stats();
    let mut reads = 0;
    for _ in 0..REQUESTS {
        reads += u64::from(request(&*store, &call, &mut random, &queries, &mut ids).await);
    }
    let stats = cached.stats();
    let hits = (stats.hits - before.hits) as f64 / reads as f64;
    let followed = (stats.followed - before.followed) as f64 / reads as f64;
    let percent = |share: f64| (share * 1_000.0).round() / 10.0;
    let (hits, followed) = (percent(hits), percent(followed));
    eprintln!("{hits} % hits, {followed} % of the reads were searches brought up to date");
    assert!(
        hits > 90.0,
        "{hits} % hits, {followed} % followed; {stats:?}"
    );
}
