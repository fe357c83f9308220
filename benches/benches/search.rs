//! Search in three engines, in the same run: the store's index, FTS5, and FTS5 that drops common
//! words.
//!
//! `cargo bench -p benches --bench search` (`MEMORIES=10000,100000`; `ENGINES=store` leaves FTS5
//! out, for a million). Words by Zipf's law, three to a query, ten results with their texts. Every
//! engine has two reader threads; clients call again as soon as they are answered.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "search/fts5.rs"]
mod fts5;
#[path = "search/growth.rs"]
mod growth;

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use benches::latency::Latencies;
use mcp_server::{
    bench::corpus::Corpus,
    call::Call,
    memory::{
        Add, MemoryError, Operation, Search,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use tokio::{task::JoinSet, time::Instant};

use self::{
    fts5::{Fts5, Pruning},
    growth::{bytes_below, caught_up, resident},
};

const TEXT_BYTES: usize = 250;
const WORDS: u32 = 20_000;
/// In one transaction while filling.
const FILL_LEN: usize = 1_000;
const ADDS: usize = 1_000;

type Failure = Box<dyn Error + Send + Sync>;

/// What is compared.
#[derive(Clone)]
enum Engine {
    Store(Arc<SqliteStore>),
    Fts5(Arc<Fts5>, Pruning),
}

impl Engine {
    /// How many were found.
    async fn search(&self, query: String) -> Result<usize, Failure> {
        match self {
            Self::Store(store) => {
                let search = Search {
                    query,
                    limit: Some(10),
                    ..Search::default()
                };
                Ok(store.search(&Call::local(), search).await?.memories.len())
            }
            Self::Fts5(fts5, pruning) => fts5.search(query, *pruning).await,
        }
    }

    async fn add(&self, content: String) -> Result<(), Failure> {
        match self {
            Self::Store(store) => {
                store.add(&Call::local(), add(content)).await?;
                Ok(())
            }
            Self::Fts5(fts5, _) => fts5.add(vec![content]).await,
        }
    }

    fn searches(&self) -> usize {
        match self {
            Self::Store(_) => 5_000,
            Self::Fts5(..) => 200,
        }
    }
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let sizes = std::env::var("MEMORIES").unwrap_or_else(|_| "10000,100000".to_owned());
    let only_store = std::env::var("ENGINES").is_ok_and(|engines| engines == "store");
    for size in sizes.split(',') {
        runtime.block_on(run(size.trim().parse()?, only_store))?;
    }
    Ok(())
}

async fn run(memories: usize, only_store: bool) -> Result<(), Failure> {
    println!("\n{memories} memories of {TEXT_BYTES} bytes");
    let folder = tempfile::tempdir()?;
    let mut engines = vec![("the store", filled_store(folder.path(), memories).await?)];
    if !only_store {
        let started = Instant::now();
        let fts5 = Arc::new(Fts5::create(&folder.path().join("fts5.db"))?);
        let mut corpus = Corpus::new(WORDS, 1);
        for _ in 0..memories.div_ceil(FILL_LEN) {
            fts5.add(texts(&mut corpus, FILL_LEN)).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "FTS5: filled in {seconds:.1} s, words {:.1} MiB",
            fts5.words_mib().await?
        );
        engines.push(("FTS5", Engine::Fts5(fts5.clone(), Pruning::None)));
        engines.push(("FTS5, rarest words", Engine::Fts5(fts5, Pruning::Rarest)));
    }
    println!(
        "\n{:<30}{:>8}{:>9}{:>9}{:>9}{:>10}",
        "", "clients", "p50 ms", "p95 ms", "p99 ms", "calls/s"
    );
    for (name, engine) in &engines {
        for clients in [1, 16, 50] {
            let latencies = closed_loop(engine, clients).await?;
            println!("{:<30}{clients:>8}{latencies}", format!("search: {name}"));
        }
    }
    for (name, engine) in engines.iter().take(2) {
        let latencies = adds(engine).await?;
        println!("{:<30}{:>8}{latencies}", format!("add: {name}"), 1);
    }
    for (name, engine) in engines.iter().take(1) {
        let latencies = between_adds(engine).await?;
        println!(
            "{:<30}{:>8}{latencies}",
            format!("search after add: {name}"),
            1
        );
    }
    println!("resident: {:.0} MiB", resident()?);
    Ok(())
}

async fn filled_store(dir: &Path, memories: usize) -> Result<Engine, Failure> {
    let started = Instant::now();
    let store = Arc::new(SqliteStore::open(dir, &SqliteConfig::default())?);
    let mut corpus = Corpus::new(WORDS, 1);
    for _ in 0..memories.div_ceil(FILL_LEN) {
        let operations = texts(&mut corpus, FILL_LEN)
            .into_iter()
            .map(|content| Operation::Add(add(content)))
            .collect();
        for result in store.batch(&Call::local(), operations).await? {
            result?;
        }
    }
    let filled = started.elapsed();
    caught_up(dir).await?;
    println!(
        "the store: filled in {:.1} s, its index {:.1} s later; index {:.1} MiB, database {:.1} MiB, \
         resident {:.0} MiB",
        filled.as_secs_f64(),
        (started.elapsed() - filled).as_secs_f64(),
        bytes_below(&dir.join("search"))? / 1_048_576.0,
        std::fs::metadata(dir.join("memory.db"))?.len() as f64 / 1_048_576.0,
        resident()?,
    );
    Ok(Engine::Store(store))
}

fn add(content: String) -> Add {
    Add {
        content,
        ..Add::default()
    }
}

fn texts(corpus: &mut Corpus, count: usize) -> Vec<String> {
    (0..count).map(|_| corpus.text(TEXT_BYTES)).collect()
}

async fn closed_loop(engine: &Engine, clients: u64) -> Result<Latencies, Failure> {
    let left = Arc::new(AtomicUsize::new(engine.searches()));
    let started = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let (engine, left) = (engine.clone(), left.clone());
        running.spawn(async move {
            let mut corpus = Corpus::new(WORDS, 1_000 + client);
            let mut calls = Vec::new();
            let another = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, another)
                .is_ok()
            {
                calls.push(timed_search(&engine, corpus.words(3)).await?);
            }
            Ok::<_, Failure>(calls)
        });
    }
    let mut calls = Vec::new();
    while let Some(client) = running.join_next().await {
        calls.append(&mut client??);
    }
    Ok(Latencies::new(calls, started.elapsed()))
}

async fn timed_search(engine: &Engine, query: String) -> Result<Duration, Failure> {
    let started = Instant::now();
    let found = engine.search(query).await?;
    let took = started.elapsed();
    match found {
        1..=10 => Ok(took),
        _ => Err(format!("{found} of at most 10 found").into()),
    }
}

async fn adds(engine: &Engine) -> Result<Latencies, Failure> {
    let mut corpus = Corpus::new(WORDS, 77);
    let started = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..ADDS {
        let text = corpus.text(TEXT_BYTES);
        let called = Instant::now();
        engine.add(text).await?;
        calls.push(called.elapsed());
    }
    Ok(Latencies::new(calls, started.elapsed()))
}

/// Each search follows a write, which it must find.
async fn between_adds(engine: &Engine) -> Result<Latencies, Failure> {
    let mut corpus = Corpus::new(WORDS, 99);
    let started = Instant::now();
    let mut calls = Vec::new();
    for number in 0..ADDS {
        let fresh = format!("fresh{number}");
        engine
            .add(format!("{fresh} {}", corpus.text(TEXT_BYTES)))
            .await?;
        let called = Instant::now();
        let found = engine.search(fresh).await?;
        calls.push(called.elapsed());
        if found != 1 {
            return Err(MemoryError::Internal {
                reason: format!("the write was not found, {found} others were"),
            }
            .into());
        }
    }
    Ok(Latencies::new(calls, started.elapsed()))
}
