//! Instructions of the hot paths of the crates, against those that were accepted last.
//!
//! ```sh
//! cargo bench -p benches --bench instructions             # needs valgrind
//! cargo bench -p benches --bench instructions -- --accept # and make them the baseline
//! ```
//!
//! Instruction counts repeat on a noisy machine, so they are what can be compared: with
//! `baselines/instructions.txt`. The bench exits with 1 if a count is more than 5 % above its
//! baseline, and with 2 if nothing could be counted. Those of `mcp-breaker` are in the bench of that
//! name. Everything runs on one thread; what the crates do on several is for wall clocks.

#[path = "front/tool.rs"]
#[allow(dead_code, reason = "the bench `front` uses the rest")]
mod tool;

use benches::{baseline, rivals::instructions};
use mcp_batch::BatchProcessor;
use mcp_cache::{Cache, Loaded};
use mcp_pool::{Manager, Pool};
use mcp_server::{
    call::Call,
    protocol::{Envelope, Front, McpHandler, Strict},
    tools::{Registry, Tool},
};
use mcp_streaming::{Budget, BudgetConfig, StreamConfig};
use std::{convert::Infallible, hint::black_box, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Each is a name in the baseline and a case of [`count`].
const CASES: [&str; 11] = [
    "batch-list",
    "batch-lone",
    "cache-fetch",
    "cache-hit",
    "cache-hit-4-tags",
    "cache-insert",
    "cache-invalidate",
    "pool-checkout",
    "server-envelope",
    "server-front",
    "streaming-event",
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = args.iter().position(|arg| arg == "--count") {
        let calls = args[at + 2].parse().expect("a number of calls");
        return match count(&args[at + 1], calls) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let accept = args.iter().any(|arg| arg == "--accept");
    baseline::judge_all("instructions.txt", &CASES, instructions, accept)
}

/// The child's side of [`instructions`]: only the calls differ between runs.
fn count(case: &str, calls: u64) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    match case {
        "batch-list" | "batch-lone" => batch(&runtime, case, calls),
        "pool-checkout" => pool(&runtime, calls),
        "server-envelope" | "server-front" => server(&runtime, case, calls),
        "streaming-event" => streaming(&runtime, calls),
        _ => cache(&runtime, case, calls),
    }
}

fn batch(runtime: &Runtime, case: &str, calls: u64) -> Result<(), Failure> {
    let same =
        |items: Vec<u64>| async move { items.into_iter().map(Ok::<_, Infallible>).collect() };
    let batch = BatchProcessor::new(&mcp_batch::Config::default(), same)?;
    runtime.block_on(async {
        for number in 0..calls {
            match case {
                // Each is a list of ten.
                "batch-list" => {
                    black_box(batch.process_batch((0..10).collect()).await);
                }
                _ => {
                    black_box(batch.submit(number).await)?;
                }
            }
        }
        Ok(())
    })
}

fn cache(runtime: &Runtime, case: &str, calls: u64) -> Result<(), Failure> {
    let cache: Cache<u64, u64> = Cache::new(&mcp_cache::Config::default())?;
    cache.insert(1, 1, []);
    cache.insert(4, 4, ["a", "b", "c", "d"]);
    let load = || async { Ok::<_, Infallible>(Loaded::new(1)) };
    runtime.block_on(async {
        for number in 0..calls {
            match case {
                "cache-hit" => {
                    black_box(cache.try_get(&1));
                }
                "cache-hit-4-tags" => {
                    black_box(cache.try_get(&4));
                }
                "cache-fetch" => {
                    black_box(cache.get_or_fetch(&1, load).await)?;
                }
                "cache-insert" => {
                    cache.insert(number % 64, number, ["a"]);
                }
                "cache-invalidate" => cache.invalidate_by_tags(&["a", "b"]),
                other => return Err(format!("no case named {other}").into()),
            }
        }
        Ok(())
    })
}

struct Numbers;

impl Manager for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

fn pool(runtime: &Runtime, calls: u64) -> Result<(), Failure> {
    let pool = Pool::new(&mcp_pool::Config::default(), Numbers)?;
    runtime.block_on(async {
        for _ in 0..calls {
            black_box(*pool.get().await?);
        }
        Ok(())
    })
}

/// One event through all three budgets, with replay.
fn streaming(runtime: &Runtime, calls: u64) -> Result<(), Failure> {
    runtime.block_on(async {
        let budget = Budget::new(&BudgetConfig::default())?;
        let (tx, mut rx) = budget.stream(&StreamConfig::default())?;
        for _ in 0..calls {
            tx.try_send(&b"an event"[..])?;
            black_box(rx.next().await);
        }
        Ok(())
    })
}

/// A call of a tool that only answers: its envelope, and all of it but HTTP.
fn server(runtime: &Runtime, case: &str, calls: u64) -> Result<(), Failure> {
    let registry = Registry::new().with(tool::BenchText("x".repeat(100).into()));
    let handler = Strict::new(McpHandler::new(Arc::new(registry)));
    let front = Front::new(&handler);
    let headers = [
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool::BenchText::NAME),
    ];
    let headers = headers.map(|(name, value)| Ok::<_, Failure>((name.parse()?, value.parse()?)));
    let headers = headers.into_iter().collect::<Result<_, _>>()?;
    runtime.block_on(async {
        for _ in 0..calls {
            let envelope = Envelope::parse(black_box(tool::CALL.as_bytes()))?;
            if case == "server-envelope" {
                black_box(envelope);
                continue;
            }
            let answer = front.answer(&headers, &envelope, Call::local()).await;
            black_box(answer).ok_or("the front takes this call")?;
        }
        Ok(())
    })
}
