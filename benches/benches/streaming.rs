//! `mcp-streaming` beside what is put together from channels and semaphores, and
//! beside rmcp's local sessions.
//!
//! ```text
//! cargo bench -p benches --features peers --bench streaming     # every figure
//! cargo bench -p benches --bench streaming                      # without the peers
//! ```
//!
//! Writer and reader are two tasks of one thread, and all paths run in turns; the
//! best of nine rounds counts. Payloads are shared buffers: what is measured is
//! the way, not the making of what goes it. rmcp's figure includes cloning a
//! JSON-RPC message, routing it, and an acknowledged round trip to the session's
//! task per event, which a full server needs too.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "streaming/counting.rs"]
mod counting;
#[path = "streaming/paths.rs"]
mod paths;
#[cfg(feature = "peers")]
#[path = "streaming/peers.rs"]
mod peers;

use benches::rivals::figure;
use bytes::Bytes;
use counting::{allocations, bytes_held};
use mcp_streaming::SessionConfig;
use paths::{Mpsc, Ours, Path, Read, Write};
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

const ROUNDS: usize = 9;
const EVENTS: usize = 100_000;
const SIZES: [usize; 3] = [256, 4 << 10, 64 << 10];
const ABANDONED: usize = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        compare_events().await;
        compare_idle().await;
        unread().await;
        abandoned().await;
    });
}

/// What one path did for one size of payload.
#[derive(Clone, Copy)]
struct Cost {
    ns: f64,
    allocations: f64,
}

async fn compare_events() {
    println!("one event from writer to reader: ns, allocations");
    println!(
        "  {:<44} {:>16} {:>16} {:>16}",
        "", "256 B", "4 KiB", "64 KiB"
    );
    let ours = Ours::new(256 << 10);
    let bare = Ours::new(0);
    let row = row("mcp-streaming, all budgets, replay", &ours, EVENTS).await;
    print_row("mcp-streaming, all budgets", &bare).await;
    print_row("tokio mpsc, a count only", &Mpsc(1_024)).await;
    #[cfg(feature = "peers")]
    {
        print_row("tokio mpsc, two semaphores, no replay", &peers::BoundedMpsc).await;
        print_row(
            "async-channel, two semaphores, no replay",
            &peers::BoundedAsyncChannel,
        )
        .await;
        let rmcp = peers::Rmcp(std::sync::Arc::default());
        self::row(
            "rmcp local session, 16 events of replay",
            &rmcp,
            EVENTS / 20,
        )
        .await;
    }
    figure(
        "ns per event with both budgets and replay, 256 B",
        format!("{:.0}", row[0].ns),
        "<= 100",
    );
    let most = row.iter().map(|cost| cost.allocations).fold(0.0, f64::max);
    figure(
        "allocations per event, the worst size",
        format!("{most:.4}"),
        "0",
    );
}

async fn print_row(name: &str, path: &impl Path) {
    row(name, path, EVENTS).await;
}

async fn row(name: &str, path: &impl Path, events: usize) -> Vec<Cost> {
    let mut costs = Vec::new();
    for size in SIZES {
        costs.push(cost(path, size, events).await);
    }
    let cells = costs
        .iter()
        .map(|cost| format!("{:>9.1} {:>6.2}", cost.ns, cost.allocations));
    let cells: Vec<String> = cells.collect();
    println!("  {name:<44} {}", cells.join(" "));
    costs
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn cost(path: &impl Path, size: usize, events: usize) -> Cost {
    let data = Bytes::from(vec![b'x'; size]);
    let (mut tx, mut rx) = path.open().await;
    let mut best = Cost {
        ns: f64::INFINITY,
        allocations: f64::INFINITY,
    };
    for _ in 0..ROUNDS {
        let before = allocations();
        let start = Instant::now();
        let payload = data.clone();
        let writer = tokio::task::spawn_local(async move {
            for _ in 0..events {
                tx.send(payload.clone()).await;
            }
            tx
        });
        for _ in 0..events {
            rx.recv().await;
        }
        tx = writer.await.expect("no panic");
        let ns = start.elapsed().as_nanos() as f64 / events as f64;
        let allocations = (allocations() - before) as f64 / events as f64;
        best = Cost {
            ns: best.ns.min(ns),
            allocations: best.allocations.min(allocations),
        };
    }
    best
}

/// Bytes of memory that one more idle stream costs, with both its ends.
async fn compare_idle() {
    println!("\nbytes per idle stream or session, tasks");
    let ours = Ours::with(256 << 10, &roomy());
    let session = ours.sessions.open("bench").expect("room");
    session.initialized();
    let streams = per_one(async || session.open_stream().expect("room")).await;
    figure("mcp-streaming, a stream", streams, "<= 1024, no task");
    let sessions = per_one(async || ours.open().await).await;
    figure("mcp-streaming, a session with a stream", sessions, "-");
    let budget = ours.budget.clone();
    let config = mcp_streaming::StreamConfig::default();
    let used = per_one(async || {
        let (tx, mut rx) = budget.stream(&config).expect("a valid configuration");
        for _ in 0..100 {
            tx.try_send("an event").expect("room");
            rx.recv().await;
        }
        (tx, rx)
    });
    figure(
        "mcp-streaming, 100 small events in its history",
        used.await,
        "-",
    );
    let mpsc = per_one(async || Mpsc(16).open().await).await;
    figure("tokio mpsc of 16", mpsc, "-");
    #[cfg(feature = "peers")]
    {
        let rmcp = peers::Rmcp(std::sync::Arc::default());
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        // Those of the sessions before have been told to end.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = tasks();
        let bytes = per_one(async || rmcp.open().await).await;
        figure("rmcp, a session with a stream", bytes, "-");
        println!("  rmcp's 500 sessions have {} tasks", tasks() - before);
    }
}

fn roomy() -> SessionConfig {
    SessionConfig {
        streams_max: 1 << 20,
        sessions_per_owner_max: 1 << 20,
        sessions_max: 1 << 20,
        ..SessionConfig::default()
    }
}

async fn per_one<T>(mut make: impl AsyncFnMut() -> T) -> i64 {
    const MANY: usize = 500;
    let mut made = Vec::with_capacity(MANY);
    let before = bytes_held();
    for _ in 0..MANY {
        made.push(make().await);
    }
    // The ends themselves are in the vector, which was there before.
    let inline = size_of::<T>().cast_signed() as i64;
    (bytes_held() - before) / MANY.cast_signed() as i64 + inline
}

/// A stream at its full speed, alone and beside a sibling that nobody reads.
async fn unread() {
    println!("\nan unread stream beside another of its session");
    let ours = Ours::new(256 << 10);
    let session = ours.sessions.open("bench").expect("room");
    session.initialized();
    let alone = cost(&Sibling(&session), 256, EVENTS).await.ns;
    let (stuck, _unread) = session.open_stream().expect("room");
    while stuck.try_send(vec![0; 1_000]).is_ok() {}
    let beside = cost(&Sibling(&session), 256, EVENTS).await.ns;
    let ratio = format!("{:.2}", beside / alone);
    figure(
        "mcp-streaming, time per event beside it and alone",
        ratio,
        "1 (full speed)",
    );
    #[cfg(feature = "peers")]
    {
        let (taken, served) = peers::rmcp_unread().await;
        let word = if served { "served" } else { "not served" };
        println!("  rmcp: it takes {taken} events; then a request is {word} within 1 s");
    }
}

/// Further streams of one session.
struct Sibling<'a>(&'a std::sync::Arc<mcp_streaming::StreamingSession>);

impl Path for Sibling<'_> {
    type Tx = mcp_streaming::Tx;
    type Rx = mcp_streaming::Rx;

    async fn open(&self) -> (Self::Tx, Self::Rx) {
        self.0.open_stream().expect("room")
    }
}

/// Sessions whose clients never come back, each with an event in a stream.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn abandoned() {
    println!("\n{ABANDONED} abandoned sessions, each with a stream and an event of 256 B");
    let limit = Duration::from_secs(2);
    let config = SessionConfig {
        init_timeout: limit,
        ..roomy()
    };
    let ours = Ours::with(256 << 10, &config);
    let before = bytes_held();
    for _ in 0..ABANDONED {
        let (tx, rx) = ours.open().await;
        tx.try_send(vec![b'x'; 256]).expect("room");
        drop((rx, tx));
    }
    let held = (bytes_held() - before) as f64 / f64::from(1 << 20);
    figure("MiB of memory, all of it", format!("{held:.1}"), "< 10");
    let start = Instant::now();
    while ours.sessions.stats().open > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let over = start.elapsed().saturating_sub(limit).as_millis();
    figure("ms after their time until all are gone", over, "-");
    figure("bytes counted then", ours.budget.stats().bytes_leased, "0");
    let left = (bytes_held() - before) as f64 / 1024.0;
    figure("KiB of memory left then", format!("{left:.0}"), "-");
}
