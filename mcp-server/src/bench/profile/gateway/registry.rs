//! The file of connectors: how long a durable change of it takes.

use std::path::Path;

use tokio::time::Instant;

use super::{Findings, Say, line, measured};
use crate::{
    bench::{
        error::BenchError,
        latency::Latencies,
        measure::millis,
        report::{Check, Target},
    },
    upstream::{ConnectorName, Report, ServerConfig, Store, registry_path},
};

/// Connectors in the file.
const SERVERS: u32 = 1_000;
/// How often it is written.
const FLUSHES: u32 = 200;
/// How long 95 % of the times may take, in ms.
const FLUSH_P95_MAX: f64 = 50.0;

pub(super) async fn run(say: Say<'_>, findings: &mut Findings) -> Result<(), BenchError> {
    say(format!(
        "a file of {SERVERS} connectors, written {FLUSHES} times"
    ));
    let folder = tempfile::tempdir().map_err(BenchError::io("no room for scratch data"))?;
    let began = Instant::now();
    let flushed = tokio::task::spawn_blocking(move || flushes(folder.path())).await;
    let flushed = flushed.map_err(std::io::Error::other);
    let took = flushed.map_err(BenchError::io("the file of connectors"))??;
    let name = format!("p95 of writing {SERVERS} connectors durably, ms");
    let p95 = millis(took.percentile(95.0));
    findings
        .checks
        .push(Check::new(name, p95, Target::AtMost(FLUSH_P95_MAX)));
    let lines = vec![line("flush", &took)];
    findings.runs.push(measured(
        "the file of connectors",
        1,
        began.elapsed(),
        lines,
    ));
    Ok(())
}

fn flushes(folder: &Path) -> Result<Latencies, BenchError> {
    let failed = |error| BenchError::io("the file of connectors")(std::io::Error::other(error));
    let store = Store::open(&registry_path(folder)).map_err(failed)?;
    for number in 0..SERVERS {
        let url = format!("https://{number}.example.com/mcp");
        store.define(&name(number), ServerConfig::url(url));
    }
    store.flush().map_err(failed)?;
    let mut took = Latencies::default();
    for number in 0..FLUSHES {
        let report = Report {
            at: jiff::Timestamp::UNIX_EPOCH,
            tools: number as usize,
            error: None,
        };
        store.report(&name(number), report);
        let began = Instant::now();
        store.flush().map_err(failed)?;
        took.record(began.elapsed());
    }
    Ok(took)
}

fn name(number: u32) -> ConnectorName {
    let name = format!("server-{number}");
    name.parse()
        .expect("letters, digits and a hyphen make a name")
}
