//! Other servers behind this one: what calls through it cost, what slow and dead ones do to lists and
//! starts, how its connections are used, and how fast its file of connectors is written.

mod calls;
mod lists;
mod registry;

use std::{fmt::Write, fs, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Findings, Plan, Say};
use crate::bench::{
    client::Client,
    error::BenchError,
    latency::Latencies,
    measure::{operation, share},
    report::{Operation, Run},
    server::{Launch, Server},
    upstream::Upstream,
};

/// A list of tools that is not complete by then never will be.
const LISTED_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn run(
    plan: &Plan,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    if launch.config.is_some() {
        let says = "the profile gateway has settings of its own: leave --config out";
        return Err(BenchError::Settings(says.to_owned()));
    }
    calls::run(plan, launch, say, findings).await?;
    lists::run(plan, launch, say, findings).await?;
    registry::run(say, findings).await
}

/// Runs a server with these settings of `connectors`, on data of its own.
async fn with_gateway<T>(
    launch: &Launch,
    settings: &str,
    work: impl AsyncFnOnce(&Server) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let failed = "no room for scratch data";
    let folder = tempfile::tempdir().map_err(BenchError::io(failed))?;
    let config = folder.path().join("settings.yaml");
    fs::write(&config, settings).map_err(BenchError::io(failed))?;
    let launch = Launch {
        config: Some(config),
        ..launch.clone()
    };
    launch.with(&folder.path().join("data"), work).await
}

/// Settings with these upstreams, and more lines of the section `connectors`.
fn settings<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>, lines: &[&str]) -> String {
    let mut text = "connectors:\n  servers:\n".to_owned();
    for (number, upstream) in upstreams.into_iter().enumerate() {
        let address = upstream.address;
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "    up{number:03}: {{url: 'http://{address}/mcp', allow_private_address: true}}"
        );
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Waits until the server lists `count` tools of upstreams, whose names begin with `remote`.
async fn until_listed(server: &Server, count: usize) -> Result<Duration, BenchError> {
    let began = Instant::now();
    let mut client = Client::connect(server.address, "mcp-server bench").await?;
    while began.elapsed() < LISTED_TIMEOUT {
        let (names, _) = client.list().await?;
        let remote = names.iter().filter(|name| name.starts_with(REMOTE));
        if remote.count() == count {
            return Ok(began.elapsed());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Err(BenchError::Server {
        what: "does not list all tools of its upstreams",
        log: format!("{count} were expected"),
    })
}

/// How the names of the upstreams' tools begin.
const REMOTE: &str = "remote_";

/// The line of a report for calls that were measured one by one.
fn line(name: &str, latencies: &Latencies) -> Operation {
    operation(name, latencies, 0.0)
}

/// A run of a report, of calls that were measured one by one.
fn measured(name: &str, clients: u32, elapsed: Duration, lines: Vec<Operation>) -> Run {
    let calls: u64 = lines.iter().map(|line| line.calls).sum();
    Run {
        name: name.to_owned(),
        memories: 0,
        clients,
        operations: lines,
        refused: std::collections::BTreeMap::new(),
        seconds: elapsed.as_secs_f64(),
        requests_per_second: calls as f64 / elapsed.as_secs_f64(),
        server_cpu_us: None,
        generator_cpu_share: None,
        resident_mib: None,
        generator_late_p99_ms: None,
        reads: None,
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}

/// The share of calls that needed no new connection.
fn reuse(calls: u64, connections: u64) -> f64 {
    1.0 - share(connections, calls)
}
