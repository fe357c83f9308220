//! What a call over standard input and output costs: the server with its front and without it, beside
//! plain rmcp on `stdio()` and on `stdio_pipes()`.
//!
//! ```sh
//! cargo bench -p benches --bench stdio
//! ```
//!
//! The tool does nothing but answer with a text of 100 B; the call is one of revision 2026-07-28. The
//! client keeps 16 calls in flight, or one. Every server is a process of its own, and all are measured
//! in turn, several rounds of it. Ratios are medians over the rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "front/tool.rs"]
mod tool;
#[path = "front/usage.rs"]
mod usage;

use std::{
    error::Error,
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use mcp_server::{
    config::StdioConfig,
    protocol::{Front, McpHandler, Strict},
    tools::Registry,
    transport::stdio,
};
use rmcp::{
    ServiceExt,
    transport::io::{stdio as rmcp_stdio, stdio_pipes},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    tool::{BenchText, CALL, Plain},
    usage::cpu_seconds,
};

type Failure = Box<dyn Error + Send + Sync>;

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const DURATION: Duration = Duration::from_millis(1_500);
const TEXT_BYTES: usize = 100;
/// By how much the front should beat rmcp's `stdio()` at a depth of 16.
const TARGET: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rmcp,
    RmcpPipes,
    NoFront,
    Front,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Rmcp, Self::RmcpPipes, Self::NoFront, Self::Front];

    fn title(self) -> &'static str {
        match self {
            Self::Rmcp => "rmcp, stdio()",
            Self::RmcpPipes => "rmcp, stdio_pipes()",
            Self::NoFront => "mcp-server, front: false",
            Self::Front => "mcp-server",
        }
    }
}

/// What came of one run.
struct Sample {
    rate: f64,
    cpu_micros: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        let index: usize = arguments.get(at + 1).ok_or("which one?")?.parse()?;
        return serve(Kind::ALL[index]);
    }
    for depth in [16, 1] {
        let mut samples = Kind::ALL.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (kind, samples) in samples.iter_mut().enumerate() {
                let mut server = Server::start(kind)?;
                server.run(WARM_UP, depth)?;
                samples.push(server.run(DURATION, depth)?);
            }
        }
        table(depth, &samples);
    }
    Ok(())
}

fn table(depth: usize, samples: &[Vec<Sample>; 4]) {
    println!("\ncalls in flight: {depth}");
    println!(
        "{:30} {:>9} {:>8} {:>10} {:>8}",
        "", "calls/s", "ratio", "CPU us", "ratio"
    );
    for (kind, own) in Kind::ALL.iter().zip(samples) {
        let ratio = |of: fn(&Sample) -> f64| {
            median(own.iter().zip(&samples[0]).map(|(a, b)| of(a) / of(b)))
        };
        let rates = ratio(|sample| sample.rate);
        let verdict = match (kind, depth) {
            (Kind::Front, 16) if rates >= TARGET => format!("   target {TARGET}x: met"),
            (Kind::Front, 16) => format!("   target {TARGET}x: MISSED"),
            _ => String::new(),
        };
        println!(
            "{:30} {:9.0} {rates:7.2}x {:10.1} {:7.2}x{verdict}",
            kind.title(),
            median(own.iter().map(|sample| sample.rate)),
            median(own.iter().map(|sample| sample.cpu_micros)),
            ratio(|sample| sample.cpu_micros),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Serves until its input ends.
#[tokio::main]
async fn serve(kind: Kind) -> Result<(), Failure> {
    let text: Arc<str> = "x".repeat(TEXT_BYTES).into();
    if let Kind::Rmcp | Kind::RmcpPipes = kind {
        let service = match kind {
            Kind::Rmcp => Plain(text).serve(rmcp_stdio()).await?,
            _ => Plain(text).serve(stdio_pipes()).await?,
        };
        service.waiting().await?;
        return Ok(());
    }
    let registry = Registry::new().with(BenchText(text));
    let handler = Strict::new(McpHandler::new(Arc::new(registry)));
    let front = (kind == Kind::Front).then(|| Front::new(&handler));
    let (config, never) = (StdioConfig::default(), CancellationToken::new());
    let (input, output) = stdio_pipes();
    stdio::serve(handler, front, input, output, &config, never).await?;
    Ok(())
}

/// A server in a process of its own, which ends with it.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(kind: usize) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", &kind.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("its input is a pipe")?;
        let output = child.stdout.take().ok_or("its output is a pipe")?;
        Ok(Self {
            child,
            input,
            output: BufReader::with_capacity(64 * 1024, output),
        })
    }

    /// Keeps `depth` calls in flight for `duration`: for the answers that are there, as many new
    /// calls are written together.
    fn run(&mut self, duration: Duration, depth: usize) -> Result<Sample, Failure> {
        // Calls in flight must differ in their ids.
        let (before, behind) = CALL.split_once("12").ok_or("the call has an id")?;
        let mut calls = String::new();
        let process = self.child.id();
        let (cpu, began) = (cpu_seconds(process)?, Instant::now());
        let (mut written, mut answered) = (0_u32, 0_u32);
        let mut line = Vec::new();
        loop {
            let in_flight = usize::try_from(written - answered)?;
            if began.elapsed() < duration {
                calls.clear();
                for _ in in_flight..depth {
                    writeln!(calls, "{before}{written}{behind}")?;
                    written += 1;
                }
                self.input.write_all(calls.as_bytes())?;
            } else if in_flight == 0 {
                break;
            }
            loop {
                line.clear();
                self.output.read_until(b'\n', &mut line)?;
                if !line.ends_with(b"}}\n") || !line.windows(8).any(|part| part == b"\"result\"") {
                    return Err(format!("not a result: {}", String::from_utf8_lossy(&line)).into());
                }
                answered += 1;
                if !self.output.buffer().contains(&b'\n') {
                    break;
                }
            }
        }
        let (elapsed, calls) = (began.elapsed(), f64::from(answered));
        Ok(Sample {
            rate: calls / elapsed.as_secs_f64(),
            cpu_micros: (cpu_seconds(process)? - cpu) * 1e6 / calls,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
