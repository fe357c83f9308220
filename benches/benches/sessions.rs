//! What a session of a client from before revision 2026-07-28 costs: its calls, and its memory while
//! nothing happens; the server with its front and without it, beside plain rmcp sessions.
//!
//! ```sh
//! cargo bench -p benches --bench sessions
//! ```
//!
//! The tool does nothing but answer with a text of 100 B. Every server is a process of its own, and
//! all are measured in turn, several rounds of it. Ratios are medians over the rounds. The memory is
//! what the process grew by, over the number of sessions, when many were opened and each had one
//! call answered.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "sessions/client.rs"]
mod client;
#[path = "front/servers.rs"]
mod servers;
#[path = "front/tool.rs"]
mod tool;
#[path = "front/usage.rs"]
mod usage;

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use self::{
    client::Client,
    servers::Kind,
    usage::{cpu_seconds, resident_bytes},
};

type Failure = Box<dyn Error + Send + Sync>;

const KINDS: [Kind; 3] = [Kind::Rmcp, Kind::NoFront, Kind::Front];
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const DURATION: Duration = Duration::from_millis(1_500);
const CONNECTIONS: usize = 16;
const IDLE_SESSIONS: u32 = 4_000;
/// By how much the front should beat rmcp's sessions in calls per second.
const RATE_TARGET: f64 = 1.5;
/// What an idle session should cost at most.
const BYTES_TARGET: f64 = 8192.0;

/// What came of one run.
struct Sample {
    rate: f64,
    cpu_micros: f64,
    session_bytes: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        let kind = arguments.get(at + 1).and_then(|name| Kind::named(name));
        return servers::serve(kind.ok_or("which one?")?, 100);
    }
    let mut samples = KINDS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (kind, samples) in KINDS.into_iter().zip(&mut samples) {
            samples.push(measure(kind)?);
        }
    }
    table(&samples);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn measure(kind: Kind) -> Result<Sample, Failure> {
    let server = Server::start(kind)?;
    let process = server.child.id();
    load(server.address, WARM_UP).await?;
    let (cpu, began) = (cpu_seconds(process)?, Instant::now());
    let calls = load(server.address, DURATION).await?;
    let (elapsed, cpu) = (began.elapsed(), cpu_seconds(process)? - cpu);
    Ok(Sample {
        rate: f64::from(calls) / elapsed.as_secs_f64(),
        cpu_micros: cpu * 1e6 / f64::from(calls),
        session_bytes: idle(kind).await?,
    })
}

/// The calls that were answered on all connections.
async fn load(address: SocketAddr, duration: Duration) -> Result<u32, Failure> {
    let mut connections = JoinSet::new();
    let end = Instant::now() + duration;
    for _ in 0..CONNECTIONS {
        connections.spawn(async move {
            let mut client = Client::connect(address).await?;
            client.open().await?;
            let mut calls = 0_u32;
            while Instant::now() < end {
                client.call().await?;
                calls += 1;
            }
            Ok::<_, Failure>(calls)
        });
    }
    let mut calls = 0;
    while let Some(done) = connections.join_next().await {
        calls += done??;
    }
    Ok(calls)
}

/// What each of many idle sessions takes of a new server's memory.
async fn idle(kind: Kind) -> Result<f64, Failure> {
    let server = Server::start(kind)?;
    let mut client = Client::connect(server.address).await?;
    // What the first sessions bring with them is not theirs.
    for _ in 0..100 {
        client.open().await?;
        client.call().await?;
    }
    let before = resident_bytes(server.child.id())?;
    for _ in 0..IDLE_SESSIONS {
        client.open().await?;
        client.call().await?;
    }
    let grown = resident_bytes(server.child.id())?.saturating_sub(before);
    Ok(f64::from(u32::try_from(grown / 1024)?) * 1024.0 / f64::from(IDLE_SESSIONS))
}

fn table(samples: &[Vec<Sample>; 3]) {
    println!(
        "{:30} {:>9} {:>8} {:>10} {:>8} {:>14}",
        "", "calls/s", "ratio", "CPU us", "ratio", "B per session"
    );
    for (kind, own) in KINDS.iter().zip(samples) {
        let middle = |of: fn(&Sample) -> f64| median(own.iter().map(of));
        let ratio = |of: fn(&Sample) -> f64| {
            median(own.iter().zip(&samples[0]).map(|(a, b)| of(a) / of(b)))
        };
        let (rates, bytes) = (ratio(|it| it.rate), middle(|it| it.session_bytes));
        println!(
            "{:30} {:9.0} {rates:7.2}x {:10.1} {:7.2}x {bytes:14.0}",
            kind.title(),
            middle(|it| it.rate),
            middle(|it| it.cpu_micros),
            ratio(|it| it.cpu_micros),
        );
        if *kind == Kind::Front {
            let word = |met| if met { "met" } else { "MISSED" };
            println!("target {RATE_TARGET}x: {}", word(rates >= RATE_TARGET));
            println!("target {BYTES_TARGET} B: {}", word(bytes <= BYTES_TARGET));
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server in a process of its own, which ends with it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: Kind) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", kind.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("its output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
