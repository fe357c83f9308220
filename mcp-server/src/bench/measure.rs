//! A load on a server, and what both of them used.

use std::time::Duration;

use super::{
    error::BenchError,
    latency::Latencies,
    load::{Load, Recording, Worker, drive},
    report::{Operation, Run},
    server::Server,
    usage::Usage,
};

/// What came of a load, and what it cost.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// What came of it.
    pub recording: Recording,
    /// Processor time that the server used meanwhile.
    pub server_cpu: Option<Duration>,
    /// Processor time that the load generator used meanwhile.
    pub generator_cpu: Option<Duration>,
    /// Memory that the server held in the end.
    pub resident_bytes: Option<u64>,
}

/// Drives the workers, and hands them back.
///
/// # Errors
///
/// As for [`drive`].
pub async fn measure<W: Worker>(
    server: &Server,
    workers: Vec<W>,
    load: &Load,
) -> Result<(Vec<W>, Measured), BenchError> {
    let usage = || (server.usage(), Usage::of(std::process::id()));
    let before = usage();
    let (workers, recording) = drive(workers, load).await?;
    let after = usage();
    let cpu = |before: Option<Usage>, after: Option<Usage>| Some(after?.cpu - before?.cpu);
    let measured = Measured {
        recording,
        server_cpu: cpu(before.0, after.0),
        generator_cpu: cpu(before.1, after.1),
        resident_bytes: after.0.map(|usage| usage.resident_bytes),
    };
    Ok((workers, measured))
}

impl Measured {
    /// Adds what came of another load of the same kind on the same server.
    pub fn absorb(&mut self, other: Self) {
        let sum = |a: Option<Duration>, b: Option<Duration>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.recording.absorb(other.recording);
        self.server_cpu = sum(self.server_cpu, other.server_cpu);
        self.generator_cpu = sum(self.generator_cpu, other.generator_cpu);
        self.resident_bytes = other.resident_bytes.or(self.resident_bytes);
    }

    /// As part of a report.
    #[must_use]
    pub fn run(&self, name: String, memories: u32, clients: u32) -> Run {
        let recording = &self.recording;
        let operation = |(kind, answered): (&super::trace::Kind, &super::load::Answered)| {
            let calls = answered.latencies.len();
            operation(
                kind.name(),
                &answered.latencies,
                share(answered.cached, calls),
            )
        };
        let calls = recording.calls();
        let seconds = recording.elapsed.as_secs_f64();
        let both = self.server_cpu.zip(self.generator_cpu);
        let late = &recording.lateness;
        Run {
            name,
            memories,
            clients,
            operations: recording.answered.iter().map(operation).collect(),
            refused: recording.refused.clone(),
            seconds,
            requests_per_second: calls as f64 / seconds,
            server_cpu_us: self
                .server_cpu
                .map(|cpu| cpu.as_secs_f64() * 1e6 / calls as f64),
            generator_cpu_share: both
                .map(|(server, own)| own.as_secs_f64() / (server + own).as_secs_f64()),
            resident_mib: self.resident_bytes.map(mib),
            generator_late_p99_ms: (!late.is_empty()).then(|| millis(late.percentile(99.0))),
            reads: None,
        }
    }
}

pub(super) fn operation(name: &str, latencies: &Latencies, hit_ratio: f64) -> Operation {
    let percentile = |percent| millis(latencies.percentile(percent));
    Operation {
        name: name.to_owned(),
        calls: latencies.len(),
        p50_ms: percentile(50.0),
        p95_ms: percentile(95.0),
        p99_ms: percentile(99.0),
        max_ms: percentile(100.0),
        hit_ratio,
    }
}

/// A part of a whole; 0 of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

/// In milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// In MiB.
#[must_use]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
