//! What a call costs from socket to socket: the server with its front and without it, beside plain
//! rmcp and beside an axum server that reads the request and answers with fixed bytes.
//!
//! ```sh
//! cargo bench -p benches --bench front
//! ```
//!
//! The tool does nothing but answer with a text of 100 B or 16 KiB; the call is one of revision
//! 2026-07-28 with all that the revision asks for. Every server is a process of its own, so that its
//! processor time can be told from the load generator's, and all are measured in turn, several
//! rounds of it, on the same cores. Ratios are medians over the rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "front/load.rs"]
mod load;
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

use self::{
    load::{Load, Sample},
    servers::Kind,
};

type Failure = Box<dyn Error + Send + Sync>;

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const DURATION: Duration = Duration::from_millis(1_500);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        let [kind, bytes] = [1, 2].map(|offset| arguments.get(at + offset));
        let kind = kind
            .and_then(|name| Kind::named(name))
            .ok_or("which one?")?;
        let bytes = bytes.ok_or("how many bytes?")?.parse()?;
        return servers::serve(kind, bytes);
    }
    for bytes in [100, 16 * 1024] {
        for connections in [16, 1] {
            println!("\nanswers of {bytes} B, connections: {connections}");
            table(&compare(bytes, connections)?);
        }
    }
    Ok(())
}

/// The samples of each kind, one a round.
fn compare(bytes: usize, connections: usize) -> Result<Vec<(Kind, Vec<Sample>)>, Failure> {
    let mut samples: Vec<_> = Kind::ALL.map(|kind| (kind, Vec::new())).into();
    for _ in 0..ROUNDS {
        for (kind, samples) in &mut samples {
            let server = Server::start(*kind, bytes)?;
            let load = Load {
                address: server.address,
                process: server.child.id(),
                connections,
                request: load::modern(),
            };
            load.run(WARM_UP)?;
            samples.push(load.run(DURATION)?);
        }
    }
    Ok(samples)
}

fn table(samples: &[(Kind, Vec<Sample>)]) {
    println!(
        "{:30} {:>9} {:>8} {:>10} {:>8} {:>8} {:>8}",
        "", "calls/s", "ratio", "CPU us", "ratio", "p50 us", "ratio"
    );
    let floor = &samples[0].1;
    for (kind, samples) in samples {
        let ratio =
            |of: fn(&Sample) -> f64| median(samples.iter().zip(floor).map(|(a, b)| of(a) / of(b)));
        let middle = |of: fn(&Sample) -> f64| median(samples.iter().map(of));
        println!(
            "{:30} {:9.0} {:7.2}x {:10.1} {:7.2}x {:8.0} {:7.2}x",
            kind.title(),
            middle(Sample::rate),
            ratio(Sample::rate),
            middle(Sample::cpu_micros),
            ratio(Sample::cpu_micros),
            middle(Sample::p50_micros),
            ratio(Sample::p50_micros),
        );
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
    fn start(kind: Kind, bytes: usize) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", kind.name(), &bytes.to_string()])
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
