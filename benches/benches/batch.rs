//! `mcp-batch` beside its peers, all by one policy each for every shape of load.
//!
//! ```text
//! cargo bench -p benches --features peers --bench batch     # every figure
//! cargo bench -p benches --bench batch                      # without the peers
//! cargo bench -p benches --bench batch -- --frontier        # ours, by its policy
//! ```
//!
//! `-- --rounds N` repeats all, so that a noisy moment shows.
//!
//! The batch function computes for 200 µs and 2 µs an item; at most 50 items
//! and two batches at once. Two threads, so that callers and batches share
//! them. The shapes are a closed loop of 64 tasks, a lone item now and then, a
//! burst of 200 every 20 ms, and a closed loop around a function that costs
//! nothing.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

#[cfg(feature = "peers")]
#[path = "batch/peers.rs"]
mod peers;
#[path = "batch/shapes.rs"]
mod shapes;

use mcp_batch::{BatchProcessor, Config};
use shapes::{Rival, Work, print_head, run};
use std::convert::Infallible;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    print_head();
    for _ in 0..rounds() {
        if std::env::args().any(|arg| arg == "--frontier") {
            runtime.block_on(run_frontier());
            continue;
        }
        runtime.block_on(async {
            run("mcp-batch", |work| ours(work, &Config::default())).await;
            run("one by one", OneByOne).await;
            #[cfg(feature = "peers")]
            peers::run_all().await;
        });
    }
    println!(
        "targets: closed >= 215000/s with p99 <= 400 µs; lone p50 <= 240, p99 <= 350 µs; \
         burst p99 <= 1500 µs; free <= 500 ns"
    );
}

/// The policy that trades the shapes against each other, step by step: how long
/// a batch gathers, and how large it may be.
async fn run_frontier() {
    let default = Config::default();
    for gather_passes_max in [0, 1, 2, 4, 8, 16, 64] {
        let config = Config {
            gather_passes_max,
            ..default.clone()
        };
        let name = format!("at most {gather_passes_max} passes");
        run(&name, |work| ours(work, &config)).await;
    }
    for max_batch_size in [25, 34, 40, 64, 100] {
        let config = Config {
            max_batch_size,
            ..default.clone()
        };
        let name = format!("at most {max_batch_size} items");
        run(&name, |work| ours(work, &config)).await;
    }
}

fn rounds() -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != "--rounds");
    args.nth(1).and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// A policy, with the bench's limit of two batches.
fn ours(work: Work, config: &Config) -> Ours {
    let config = Config {
        max_concurrent_batches: 2,
        ..config.clone()
    };
    let processor = BatchProcessor::new(&config, move |items: Vec<u64>| async move {
        work.compute(items.len());
        items.into_iter().map(Ok).collect()
    });
    Ours(processor.expect("a valid configuration"))
}

#[derive(Clone)]
struct Ours(BatchProcessor<u64, u64, Infallible>);

impl Rival for Ours {
    async fn submit(&self, item: u64) -> u64 {
        self.0.submit(item).await.expect("a result")
    }
}

/// No batches at all.
#[derive(Clone)]
struct OneByOne(Work);

impl Rival for OneByOne {
    async fn submit(&self, item: u64) -> u64 {
        self.0.compute(1);
        // Where a peer would let others run.
        tokio::task::yield_now().await;
        item
    }
}
