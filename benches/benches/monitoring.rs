//! What it costs to watch: to count a call, alone and while another thread counts calls of the same
//! tool, and to write down everything that was counted.
//!
//! ```sh
//! cargo bench -p benches --bench monitoring
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{sync::Arc, thread, time::Duration};

use mcp_server::{
    call::{Lane, Via},
    client::Clients,
    monitoring::{Ended, Format, Monitor, MonitoringConfig, Outcome, Recorder, Sources, Tier},
    telemetry::{SlowOperations, SlowOperationsConfig},
    transport::http::Counters,
};
use tokio::time::Instant;

const CALLS: u32 = 5_000_000;
const ROUNDS: usize = 5;
const TOOLS: usize = 256;

fn main() {
    let recorder = Arc::new(Recorder::new(Duration::from_secs(60)));
    for threads in [1, 2] {
        let nanos = best(|| {
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| count(&recorder, "memory_get", CALLS));
                }
            });
        }) * 1e9
            / f64::from(CALLS);
        println!("a call counted, {threads} threads: {nanos:6.1} ns each (target: 1,000)");
    }
    for tool in 0..TOOLS {
        count(&recorder, &format!("tool_{tool}"), 1_000);
    }
    let monitor = monitor(recorder);
    for (format, name) in [
        (Format::OpenMetrics, "OpenMetrics"),
        (Format::Plain, "0.0.4"),
    ] {
        let mut bytes = 0;
        let millis = best(|| bytes = monitor.metrics(format).map_or(0, |text| text.len())) * 1e3;
        println!("a scrape of {TOOLS} tools, {name}: {millis:.2} ms, {bytes} B (target: 5 ms)");
    }
    let millis = best(|| drop(monitor.status())) * 1e3;
    println!("a status of {TOOLS} tools: {millis:.2} ms");
}

fn count(recorder: &Recorder, tool: &str, calls: u32) {
    let tool = recorder.tool(tool, Tier::Local);
    for call in 0..calls {
        tool.record(Ended {
            lane: Lane::Other,
            via: Via::Tool,
            // From 3 µs to 50 ms, in no order.
            took: Duration::from_nanos(3_000 + u64::from(call.wrapping_mul(2_654_435_761)) / 86),
            elsewhere: Duration::ZERO,
            outcome: Outcome::Done,
        });
    }
}

/// The seconds of the best of some rounds.
fn best(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    (0..ROUNDS)
        .map(|_| round(&mut work))
        .fold(f64::INFINITY, f64::min)
}

fn monitor(recorder: Arc<Recorder>) -> Monitor {
    let sources = Sources {
        recorder,
        parts: Vec::new(),
        checks: Vec::new(),
        slow: Arc::new(SlowOperations::new(&SlowOperationsConfig::default())),
        clients: Clients::default(),
        http: Counters::default(),
        courier: None,
        rollups: None,
        reports: None,
    };
    Monitor::new(MonitoringConfig::default(), sources)
}
