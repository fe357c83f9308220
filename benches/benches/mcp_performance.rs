//! The same call of the same tool, end to end: a bare axum server, this server, plain rmcp, and the
//! official TypeScript and Python SDKs, where those are at hand.
//!
//! ```sh
//! bash tests/clients/setup.sh       # once; fetches Node and the two SDKs into target/
//! cargo bench -p benches --bench mcp_performance
//! ```
//!
//! The tool does nothing but answer with a text of 100 B. Each server is a process of its own, at its
//! fastest settings (no sessions, answers as JSON), measured in turn, several rounds of it, on the same
//! cores as the load: 16 connections that call again as soon as they were answered. The Rust servers
//! are called in revision 2026-07-28, the SDKs in the newest one that both speak without a session.
//! Where an SDK is not at hand its lines say so.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "mcp_performance/foreign.rs"]
mod foreign;
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
    foreign::Foreign,
    load::{Load, Sample},
    servers::Kind,
};

type Failure = Box<dyn Error + Send + Sync>;

const ROUNDS: usize = 3;
const CONNECTIONS: usize = 16;
const BYTES: usize = 100;
const WARM_UP: Duration = Duration::from_millis(500);
const DURATION: Duration = Duration::from_millis(1_500);

/// Who is measured.
#[derive(Debug, Clone, Copy)]
enum Peer {
    Rust(Kind),
    Foreign(Foreign),
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        let kind = arguments.get(at + 1).and_then(|name| Kind::named(name));
        return servers::serve(kind.ok_or("which one?")?, BYTES);
    }
    let mut peers: Vec<_> = [Kind::Axum, Kind::Front, Kind::Rmcp]
        .map(|kind| (Peer::Rust(kind), Vec::new()))
        .into();
    for foreign in Foreign::ALL {
        match foreign.command(BYTES) {
            Some(_) => peers.push((Peer::Foreign(foreign), Vec::new())),
            None => println!(
                "{}: not at hand; bash tests/clients/setup.sh",
                foreign.title()
            ),
        }
    }
    for _ in 0..ROUNDS {
        for (peer, samples) in &mut peers {
            let server = Server::start(*peer)?;
            let load = Load {
                address: server.address,
                process: server.child.id(),
                connections: CONNECTIONS,
                request: peer.request(),
            };
            load.run(WARM_UP)?;
            samples.push(load.run(DURATION)?);
        }
    }
    table(&peers)
}

fn table(peers: &[(Peer, Vec<Sample>)]) -> Result<(), Failure> {
    println!(
        "\n{:34} {:>9} {:>8} {:>10} {:>8} {:>9}",
        "16 connections, answers of 100 B", "calls/s", "ratio", "CPU us", "ratio", "p50 us"
    );
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let floor = &peers.first().ok_or("nobody was measured")?.1;
    for (peer, samples) in peers {
        let middle = |of: fn(&Sample) -> f64| median(samples.iter().map(of).collect());
        let ratio = |of: fn(&Sample) -> f64| {
            let pairs = samples.iter().zip(floor);
            median(pairs.map(|(own, floor)| of(own) / of(floor)).collect())
        };
        println!(
            "{:34} {:9.0} {:7.3}x {:10.1} {:7.2}x {:9.0}",
            peer.title(),
            middle(Sample::rate),
            ratio(Sample::rate),
            middle(Sample::cpu_micros),
            ratio(Sample::cpu_micros),
            middle(Sample::p50_micros),
        );
    }
    Ok(())
}

impl Peer {
    fn title(self) -> &'static str {
        match self {
            Self::Rust(kind) => kind.title(),
            Self::Foreign(foreign) => foreign.title(),
        }
    }

    fn request(self) -> String {
        match self {
            Self::Rust(_) => load::modern(),
            Self::Foreign(_) => load::stateless(),
        }
    }

    fn command(self) -> Result<Command, Failure> {
        match self {
            Self::Rust(kind) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--serve", kind.name()]);
                Ok(command)
            }
            Self::Foreign(foreign) => Ok(foreign.command(BYTES).ok_or("it was at hand")?),
        }
    }
}

/// A server in a process of its own, which ends with it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(peer: Peer) -> Result<Self, Failure> {
        let mut child = peer
            .command()?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("its output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse();
        let server = Self {
            child,
            address: address.map_err(|_| format!("{} says: {line}", peer.title()))?,
        };
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
