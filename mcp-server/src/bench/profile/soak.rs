//! Agents at work for hours, on a store that does not grow: what the server holds must not either.

mod keeper;
mod slope;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{keeper::Keeper, slope::slope};
use super::{Filled, Findings, Plan, Say};
use crate::bench::{
    error::BenchError,
    load::Load,
    measure::{Measured, measure, mib},
    pace::{Arrivals, Pace},
    report::{Check, Run, Target},
    server::{Launch, Server},
    trace::{Trace, TraceSettings},
};

const CLIENTS: u32 = 8;
/// Calls per second: about a tenth of what the server can do on two processors.
const RATE: f64 = 1_000.0;
/// How often it is looked at what the server holds.
const SAMPLES: u32 = 60;
/// From here on a slope per hour says something, and latencies are not those of a start.
const LONG: Duration = Duration::from_secs(3_600);
const BYTES_PER_MIB: f64 = 1_048_576.0;
/// What a run may grow by in any case: an allocator's own ways, not a leak.
const NOISE_MIB: f64 = 4.0;
/// Descriptors and threads come and go with merges of the index and pauses of the disk.
const NOISE_COUNT: f64 = 8.0;

/// What the server held at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    /// Since the beginning.
    hours: f64,
    requests: f64,
    private_mib: f64,
    open_files: f64,
    threads: f64,
}

pub(super) async fn run(
    plan: &Plan,
    memories: u32,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    let clients = plan.clients.unwrap_or(CLIENTS);
    let trace = Arc::new(Trace::new(TraceSettings {
        seed: plan.seed,
        clients,
        memories,
        calls: clients,
    }));
    let filled = Filled::new(launch, &trace, say).await?;
    let (thirds, samples) = launch
        .with(&filled.data(), async |server| {
            soak(plan, clients, server, &filled, say).await
        })
        .await?;
    let runs: Vec<_> = ["first third", "second third", "last third"]
        .into_iter()
        .zip(&thirds)
        .map(|(name, measured)| measured.run(name.to_owned(), memories, clients))
        .collect();
    findings.checks.extend(checks(plan.duration, &samples));
    findings.checks.push(slowdown(plan.duration, &thirds));
    findings.checks.extend(runs.iter().map(Run::refusals));
    findings.runs.extend(runs);
    Ok(())
}

async fn soak(
    plan: &Plan,
    clients: u32,
    server: &Server,
    filled: &Filled,
    say: Say<'_>,
) -> Result<([Measured; 3], Vec<Sample>), BenchError> {
    let mut keepers = Keeper::all(server, clients, &filled.ids, plan.seed).await?;
    let mut thirds = [const { None::<Measured> }; 3];
    let mut samples = Vec::new();
    let (mut requests, mut elapsed) = (0, Duration::ZERO);
    for number in 0..SAMPLES {
        let load = Load {
            pace: Pace::Open(Arrivals {
                rate: plan.rate.unwrap_or(RATE),
                burst_len: 1,
                seed: plan.seed.wrapping_add(u64::from(number)),
            }),
            duration: plan.duration / SAMPLES,
            calls: usize::MAX,
            until: CancellationToken::new(),
        };
        let measured;
        (keepers, measured) = measure(server, keepers, &load).await?;
        requests += measured.recording.calls();
        elapsed += measured.recording.elapsed;
        if let Some(usage) = server.usage() {
            say(format!(
                "{} of {SAMPLES}: {requests} calls, {:.0} MiB, {} open files, {} threads",
                number + 1,
                mib(usage.private_bytes),
                usage.open_files,
                usage.threads,
            ));
            samples.push(Sample {
                hours: elapsed.as_secs_f64() / 3_600.0,
                requests: requests as f64,
                private_mib: mib(usage.private_bytes),
                open_files: usage.open_files as f64,
                threads: usage.threads as f64,
            });
        }
        let third = &mut thirds[(number * 3 / SAMPLES) as usize];
        third.get_or_insert_default().absorb(measured);
    }
    Ok((thirds.map(Option::unwrap_or_default), samples))
}

/// What must be flat after the first third. What cannot be known here is not checked.
fn checks(duration: Duration, samples: &[Sample]) -> Vec<Check> {
    let later = &samples[samples.len() / 3..];
    let (Some(first), Some(last)) = (later.first(), later.last()) else {
        return Vec::new();
    };
    let per_hour = |of: fn(&Sample) -> f64| {
        let points: Vec<_> = later.iter().map(|it| (it.hours, of(it))).collect();
        slope(&points)
    };
    let hours = last.hours - first.hours;
    let private = per_hour(|it| it.private_mib);
    // A byte for each request; files that are mapped are not counted.
    let bearable = ((last.requests - first.requests) / BYTES_PER_MIB).max(NOISE_MIB);
    let mut checks = vec![
        Check::new(
            "MiB that it grew by",
            private * hours,
            Target::AtMost(bearable),
        ),
        Check::new(
            "open files that it grew by",
            per_hour(|it| it.open_files) * hours,
            Target::AtMost(NOISE_COUNT),
        ),
        Check::new(
            "threads that it grew by",
            per_hour(|it| it.threads) * hours,
            Target::AtMost(NOISE_COUNT),
        ),
    ];
    if duration >= LONG {
        checks.push(Check::new(
            "MiB that it grew by in an hour",
            private,
            Target::AtMost(1.0),
        ));
    }
    checks
}

/// How much longer the slowest hundredth of the calls took in the end.
fn slowdown(duration: Duration, thirds: &[Measured; 3]) -> Check {
    let p99 = |measured: &Measured| {
        let latencies = measured.recording.latencies();
        latencies.percentile(99.0).as_secs_f64()
    };
    let most = if duration >= LONG { 1.2 } else { 3.0 };
    let times = p99(&thirds[2]) / p99(&thirds[0]);
    Check::new(
        "p99 of the last third, times the first's",
        times,
        Target::AtMost(most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(private_mib: fn(u32) -> f64) -> Vec<Sample> {
        let sample = |number| Sample {
            hours: f64::from(number) / 10.0,
            requests: f64::from(number) * 360_000.0,
            private_mib: private_mib(number),
            open_files: 40.0,
            threads: 12.0,
        };
        (0..60).map(sample).collect()
    }

    #[test]
    fn what_fills_up_is_no_leak_and_what_grows_on_is_one() {
        let check = |private_mib, hours: u64, expect: bool| {
            let duration = Duration::from_secs(hours * 3_600);
            let checks = checks(duration, &samples(private_mib));
            assert_eq!(checks.iter().all(Check::passed), expect, "{checks:?}");
        };
        check(|_| 100.0, 6, true);
        // A cache that is full after a quarter of the time.
        check(|number| 100.0 + 10.0 * f64::from(number.min(15)), 6, true);
        // One look in the middle of a merge.
        check(|number| if number == 40 { 400.0 } else { 100.0 }, 6, true);
        // Two MiB in an hour, which is less than a byte for each request.
        check(|number| 100.0 + 0.2 * f64::from(number), 6, false);
        // A MiB in six minutes.
        check(|number| 100.0 + f64::from(number), 6, false);
        assert!(checks(LONG, &[]).is_empty(), "nothing is known");
    }
}
