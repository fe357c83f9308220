//! Agents at work.

use std::{path::Path, sync::Arc};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Filled, Findings, Plan, Say};
use crate::bench::{
    agent::Agent,
    client::Client,
    error::BenchError,
    fill::copy,
    history::{History, Id},
    load::Load,
    measure::{measure, share},
    pace::{Arrivals, Pace},
    report::{Check, Reads, Run, Target},
    server::{Launch, Server},
    trace::{BURST_LEN, Kind, Trace, TraceSettings, reach},
    verify::verify,
};

const CLIENTS: u32 = 50;
const SAMPLES: u32 = 200_000;
/// Calls before the measured ones, as a part of those.
const WARM_UP: u32 = 10;

/// The run of everything that makes the server faster, and the one of nothing of it.
const OPTIMISED: &str = "optimised";
const SAFE_MODE: &str = "safe mode";

pub(super) async fn run(
    plan: &Plan,
    memories: u32,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    let samples = plan.samples.unwrap_or(SAMPLES);
    let trace = Arc::new(Trace::new(TraceSettings {
        seed: plan.seed,
        clients: plan.clients.unwrap_or(CLIENTS),
        memories,
        calls: samples + samples / WARM_UP,
    }));
    let filled = Filled::new(launch, &trace, say).await?;
    let safe_mode = Launch {
        safe_mode: true,
        ..launch.clone()
    };
    let mut launches = vec![launch];
    if plan.against_safe_mode && !launch.safe_mode {
        launches.push(&safe_mode);
    }
    let mut runs = Vec::new();
    for launch in launches {
        let data = filled.folder.path().join("run");
        copy(&filled.data(), &data).await?;
        let run = agents(plan, &trace, &filled.ids, launch, &data, say).await?;
        std::fs::remove_dir_all(&data).map_err(BenchError::io("cannot remove scratch data"))?;
        runs.push(run);
    }
    findings.checks.extend(checks(&runs, launch.safe_mode));
    findings.runs.extend(runs);
    Ok(())
}

async fn agents(
    plan: &Plan,
    trace: &Arc<Trace>,
    ids: &Arc<[Id]>,
    launch: &Launch,
    data: &Path,
    say: Say<'_>,
) -> Result<Run, BenchError> {
    let mode = match launch.safe_mode {
        true => SAFE_MODE,
        false => OPTIMISED,
    };
    let settings = trace.settings();
    let pace = plan.rate.map_or(Pace::Closed, |rate| {
        Pace::Open(Arrivals {
            rate,
            burst_len: u32::try_from(BURST_LEN).unwrap_or(1),
            seed: plan.seed,
        })
    });
    launch
        .with(data, async |server| {
            let agents = connect(server, trace, ids).await?;
            say(format!("{mode}: warming up"));
            let calls = trace.clients()[0].len();
            let warm_up = Load {
                pace: Pace::Closed,
                duration: plan.duration / 2,
                calls: calls / (WARM_UP as usize + 1),
                until: CancellationToken::new(),
            };
            let (agents, _) = measure(server, agents, &warm_up).await?;
            let begun: Vec<_> = agents.iter().map(Agent::place).collect();
            say(format!("{mode}: measuring"));
            let load = Load {
                pace,
                duration: plan.duration,
                calls,
                until: CancellationToken::new(),
            };
            let (agents, measured) = measure(server, agents, &load).await?;
            let ranges: Vec<_> = begun
                .into_iter()
                .zip(&agents)
                .map(|(begun, agent)| begun..agent.place())
                .collect();
            let history = History {
                trace: trace.clone(),
                ids: ids.clone(),
                clients: agents.into_iter().map(Agent::into_history).collect(),
            };
            say(format!("{mode}: judging what was read"));
            let verdict = tokio::task::spawn_blocking(move || verify(&history))
                .await
                .map_err(std::io::Error::other)
                .map_err(BenchError::io("judging"))?;
            let answered = |kind| measured.recording.answered.get(kind);
            let reads = [Kind::Search, Kind::Get];
            let reads = || reads.iter().filter_map(answered);
            let name = format!("{mode}, {} memories", settings.memories);
            let mut run = measured.run(name, settings.memories, settings.clients);
            run.reads = Some(Reads {
                hit_ratio: share(
                    reads().map(|reads| reads.cached).sum(),
                    reads().map(|reads| reads.latencies.len()).sum(),
                ),
                reach: reach(trace, &ranges),
                marked_stale: measured.recording.marked_stale,
                verdict,
            });
            Ok(run)
        })
        .await
}

async fn connect(
    server: &Server,
    trace: &Arc<Trace>,
    ids: &Arc<[Id]>,
) -> Result<Vec<Agent>, BenchError> {
    let clock = Instant::now();
    let mut agents = Vec::new();
    for number in 0..trace.clients().len() {
        let client = Client::connect(server.address, "agent").await?;
        agents.push(Agent::new(
            client,
            trace.clone(),
            number,
            ids.clone(),
            clock,
        ));
    }
    Ok(agents)
}

/// The first run is what is checked, the second what it is compared with.
fn checks(runs: &[Run], safe_mode: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for run in runs {
        let Some(reads) = &run.reads else { continue };
        let name = |what| format!("{what}: {}", run.name);
        let verdict = &reads.verdict;
        let none = [
            ("stale reads", verdict.stale + reads.marked_stale),
            ("wrong reads", verdict.wrong),
        ];
        checks.extend(
            none.map(|(what, count)| Check::new(name(what), count as f64, Target::AtMost(0.0))),
        );
        checks.push(run.refusals());
    }
    let [run, rest @ ..] = runs else {
        return checks;
    };
    if let Some(reads) = &run.reads {
        let ceiling = reads.reach.ceiling;
        let name = "reads that repeat an earlier one (ceiling)";
        checks.push(Check::new(name, ceiling, Target::AtLeast(0.95)));
        if !safe_mode {
            let name = "reads from a cache";
            checks.push(Check::new(name, reads.hit_ratio, Target::AtLeast(0.9)));
        }
    }
    for other in rest {
        let faster = run.requests_per_second / other.requests_per_second;
        let name = "requests/s, times safe mode's";
        checks.push(Check::new(name, faster, Target::AtLeast(3.0)));
        if let (Some(cpu), Some(other)) = (run.server_cpu_us, other.server_cpu_us) {
            let name = "CPU per request, times safe mode's";
            checks.push(Check::new(name, cpu / other, Target::AtMost(0.6)));
        }
    }
    checks
}
