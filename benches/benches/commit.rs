//! Group commit: writes that share transactions beside writes that do not, and reads, in one run.
//!
//! `cargo bench -p benches --bench commit` (`MEMORIES=10000` for a smaller store). Calls to the store
//! itself, without a transport, by clients that call again as soon as they are answered; every write
//! is durable (`synchronous=full`) when it is answered.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use benches::latency::Latencies;
use mcp_server::{
    adapters::{BatchConfig, BatchedStore, PromptStore, RepeatableStore},
    bench::{corpus::Corpus, random::Random},
    call::Call,
    memory::{
        Add, Get, MemoryId, Operation, Outcome, Search,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use tokio::{task::JoinSet, time::Instant};

const TEXT_BYTES: usize = 250;
const BATCH_LEN: usize = 50;
const FILL_LEN: usize = 1_000;
/// Long enough that nothing is given up: what is late shall be seen.
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Store = Arc<dyn MemoryStore>;

#[derive(Debug, Clone, Copy)]
enum Work {
    Add,
    Batch,
    Get,
    Search,
}

impl Work {
    /// Reads first: what is written makes the store larger.
    const ALL: [Self; 4] = [Self::Get, Self::Search, Self::Add, Self::Batch];

    fn name(self) -> &'static str {
        match self {
            Self::Add => "add (durable)",
            Self::Batch => "batch of 50 adds",
            Self::Get => "get",
            Self::Search => "search, 3 words",
        }
    }

    fn calls(self, clients: usize) -> usize {
        match (self, clients) {
            (Self::Add, 1) => 1_500,
            (Self::Add, _) => 10_000,
            (Self::Batch, _) => 400,
            (Self::Get, _) => 30_000,
            (Self::Search, _) => 4_000,
        }
    }

    async fn call(
        self,
        store: &Store,
        corpus: &mut Corpus,
        random: &mut Random,
        ids: &[MemoryId],
    ) -> Result<(), Failure> {
        let call = Call::local();
        match self {
            Self::Add => drop(store.add(&call, add(corpus)).await?),
            Self::Batch => {
                let adds = (0..BATCH_LEN).map(|_| Operation::Add(add(corpus)));
                for result in store.batch(&call, adds.collect()).await? {
                    result?;
                }
            }
            Self::Get => {
                let count = u32::try_from(ids.len())?;
                let id = ids[random.below(count) as usize].clone();
                drop(store.get(&call, Get { id }).await?);
            }
            Self::Search => {
                let search = Search {
                    query: corpus.words(3),
                    limit: Some(10),
                    ..Search::default()
                };
                drop(store.search(&call, search).await?);
            }
        }
        Ok(())
    }
}

fn add(corpus: &mut Corpus) -> Add {
    Add {
        content: corpus.text(TEXT_BYTES),
        ..Add::default()
    }
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let memories: usize = std::env::var("MEMORIES").map_or(Ok(100_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let sqlite = Arc::new(SqliteStore::open(folder.path(), &SqliteConfig::default())?);
    let ids: Arc<[MemoryId]> = fill(&sqlite, memories).await?.into();
    let batched = Arc::new(BatchedStore::new(sqlite.clone(), &BatchConfig::default())?);
    let prompt = Arc::new(PromptStore::new(batched.clone(), PATIENCE));
    let stacks: [(&str, Store); 3] = [
        ("alone", sqlite.clone()),
        ("together", batched.clone()),
        ("whole stack", Arc::new(RepeatableStore::new(prompt))),
    ];
    println!("{memories} memories of {TEXT_BYTES} bytes");
    println!(
        "\n{:<18}{:<12}{:>8}{:>9}{:>9}{:>9}{:>10}{:>9}",
        "", "writes", "clients", "p50 ms", "p95 ms", "p99 ms", "calls/s", "a commit"
    );
    for work in Work::ALL {
        for clients in [1, 16, 50] {
            for (name, store) in &stacks {
                let before = batched.stats();
                let latencies = closed_loop(store, work, clients, &ids).await?;
                let after = batched.stats();
                let shared = match after.batches - before.batches {
                    0 => String::new(),
                    commits => format!("{:.1}", ratio(after.items - before.items, commits)),
                };
                println!(
                    "{:<18}{name:<12}{clients:>8}{latencies}{shared:>9}",
                    work.name()
                );
            }
        }
    }
    Ok(())
}

fn ratio(items: u64, commits: u64) -> f64 {
    let float = |count: u64| u32::try_from(count).map_or(f64::NAN, f64::from);
    float(items) / float(commits)
}

async fn fill(store: &SqliteStore, memories: usize) -> Result<Vec<MemoryId>, Failure> {
    let mut corpus = Corpus::new(20_000, 1);
    let mut ids = Vec::with_capacity(memories);
    while ids.len() < memories {
        let adds = (0..FILL_LEN).map(|_| Operation::Add(add(&mut corpus)));
        for result in store.batch(&Call::local(), adds.collect()).await? {
            if let Outcome::Added(added) = result? {
                ids.push(added.id);
            }
        }
    }
    // Until the index has read it all, searches are refused.
    let search = || Search {
        query: "index".to_owned(),
        ..Search::default()
    };
    while store.search(&Call::local(), search()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(ids)
}

async fn closed_loop(
    store: &Store,
    work: Work,
    clients: usize,
    ids: &Arc<[MemoryId]>,
) -> Result<Latencies, Failure> {
    let left = Arc::new(AtomicUsize::new(work.calls(clients)));
    let started = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let (store, left, ids) = (store.clone(), left.clone(), ids.clone());
        running.spawn(async move {
            let seed = 1_000 + client as u64;
            let (mut corpus, mut random) = (Corpus::new(20_000, seed), Random::new(seed));
            let mut calls = Vec::new();
            let another = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, another)
                .is_ok()
            {
                let started = Instant::now();
                work.call(&store, &mut corpus, &mut random, &ids).await?;
                calls.push(started.elapsed());
            }
            Ok::<_, Failure>(calls)
        });
    }
    let mut calls = Vec::new();
    while let Some(client) = running.join_next().await {
        calls.extend(client??);
    }
    Ok(Latencies::new(calls, started.elapsed()))
}
