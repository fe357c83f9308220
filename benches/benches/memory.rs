//! The memory tools over HTTP, on a store of 100,000 memories of about 250 bytes.
//!
//! `cargo bench -p benches --bench memory` (`MEMORIES=10000` for a smaller store). Client and
//! server share the machine, so the figures are what a user on that machine would see, not the
//! server's limits. Every answer is checked.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use benches::{client::Client, corpus::Corpus, latency::Latencies};
use mcp_server::{app::App, config::Config, transport::http};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

const TEXT_BYTES: usize = 250;
const BATCH_LEN: usize = 50;

/// What is called, how often in all, and how the arguments are made.
struct Work {
    name: &'static str,
    tool: &'static str,
    calls: usize,
    arguments: fn(&mut Corpus, &[String]) -> Value,
}

const WORK: [Work; 4] = [
    Work {
        name: "add (durable)",
        tool: "memory_add",
        calls: 2_000,
        arguments: |corpus, _| json!({"content": corpus.text(TEXT_BYTES)}),
    },
    Work {
        name: "get",
        tool: "memory_get",
        calls: 20_000,
        arguments: |corpus, ids| {
            let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            json!({"id": ids[corpus.below(count) as usize]})
        },
    },
    Work {
        name: "search, 3 words",
        tool: "memory_search",
        calls: 300,
        arguments: |corpus, _| json!({"query": corpus.words(3)}),
    },
    Work {
        name: "batch of 50 adds",
        tool: "memory_batch",
        calls: 200,
        arguments: |corpus, _| batch(corpus),
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let memories: usize = std::env::var("MEMORIES").map_or(Ok(100_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.memory.data_dir = Some(folder.path().to_owned());
    let app = App::build(&config)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let server = {
        let (handler, options, shutdown) = (app.handler(), app.http_options(), shutdown.clone());
        tokio::spawn(
            async move { http::serve(listener, handler, options, config.http, shutdown).await },
        )
    };

    let started = Instant::now();
    let ids: Arc<[String]> = fill(address, memories).await?.into();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "stored {} memories of {TEXT_BYTES} bytes in {seconds:.1} s",
        ids.len()
    );
    println!(
        "\n{:<18}{:>12}{:>9}{:>9}{:>9}{:>10}",
        "", "connections", "p50 ms", "p95 ms", "p99 ms", "calls/s"
    );
    for work in &WORK {
        for connections in [1, 16, 50] {
            let latencies = measure(address, work, connections, ids.clone()).await?;
            println!("{:<18}{connections:>12}{latencies}", work.name);
        }
    }
    shutdown.cancel();
    server.await??;
    app.close().await;
    Ok(())
}

/// Stores the corpus in batches and returns the ids.
async fn fill(address: SocketAddr, memories: usize) -> io::Result<Vec<String>> {
    let mut client = Client::connect(address).await?;
    let mut corpus = Corpus::new(20_000, 1);
    let mut ids = Vec::with_capacity(memories);
    while ids.len() < memories {
        let answer = client.call("memory_batch", &batch(&mut corpus)).await?;
        let results = answer["results"].as_array().into_iter().flatten();
        ids.extend(results.filter_map(|result| Some(result["ok"]["id"].as_str()?.to_owned())));
    }
    Ok(ids)
}

fn batch(corpus: &mut Corpus) -> Value {
    let operations: Vec<_> = (0..BATCH_LEN)
        .map(|_| json!({"type": "add", "data": {"content": corpus.text(TEXT_BYTES)}}))
        .collect();
    json!({"operations": operations})
}

/// A closed loop: every connection calls again as soon as it was answered.
async fn measure(
    address: SocketAddr,
    work: &'static Work,
    connections: usize,
    ids: Arc<[String]>,
) -> Result<Latencies, Box<dyn Error>> {
    let left = Arc::new(AtomicUsize::new(work.calls));
    let started = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|index| {
            let seed = 1_000 + index as u64;
            tokio::spawn(call_until_done(
                address,
                work,
                seed,
                left.clone(),
                ids.clone(),
            ))
        })
        .collect();
    let mut calls = Vec::with_capacity(work.calls);
    for client in clients {
        calls.append(&mut client.await??);
    }
    Ok(Latencies::new(calls, started.elapsed()))
}

async fn call_until_done(
    address: SocketAddr,
    work: &Work,
    seed: u64,
    left: Arc<AtomicUsize>,
    ids: Arc<[String]>,
) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(address).await?;
    let mut corpus = Corpus::new(20_000, seed);
    let mut calls = Vec::new();
    let another = |left: usize| left.checked_sub(1);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, another)
        .is_ok()
    {
        let arguments = (work.arguments)(&mut corpus, &ids);
        let started = Instant::now();
        client.call(work.tool, &arguments).await?;
        calls.push(started.elapsed());
    }
    Ok(calls)
}
