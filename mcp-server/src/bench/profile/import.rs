//! Agents at a fixed rate, alone and while another client stores many memories.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Filled, Findings, Plan, Say,
    caller::{Caller, Place},
};
use crate::bench::{
    agent::Agent,
    client::Client,
    error::BenchError,
    load::{Load, drive},
    measure::{Measured, measure},
    pace::{Arrivals, Pace},
    report::{Check, Run, Target},
    server::{Launch, Server},
    trace::{Kind, Trace, TraceSettings},
};

/// Memories that the other client stores in each round, but no more than there are at first.
const IMPORTED: u32 = 3_466;
/// Its connections.
const IMPORTERS: u32 = 4;
/// Agents at work, and their calls per second.
const CLIENTS: u32 = 8;
const RATE: f64 = 200.0;
/// Calls that are made up: more than the rounds can take.
const SAMPLES: u32 = 100_000;
/// Alone and together take turns, so that what else happens on the machine falls on both.
const ROUNDS: u32 = 5;
/// How much longer the agents may wait.
const SLOWDOWN_MAX: f64 = 1.5;

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
        calls: plan.samples.unwrap_or(SAMPLES),
    }));
    let filled = Filled::new(launch, &trace, say).await?;
    let [alone, together] = launch
        .with(&filled.data(), async |server| {
            rounds(plan, server, &trace, &filled, say).await
        })
        .await?;
    let run = |what, measured: &Measured| {
        measured.run(format!("{what}, {memories} memories"), memories, clients)
    };
    let runs = [run("alone", &alone), run("during the import", &together)];
    let p95 = |measured: &Measured| {
        measured
            .recording
            .latencies()
            .percentile(95.0)
            .as_secs_f64()
    };
    let slowdown = p95(&together) / p95(&alone);
    let name = format!("p95 during the import, times the one alone, at {memories} memories");
    let check = Check::new(name, slowdown, Target::AtMost(SLOWDOWN_MAX));
    findings.checks.push(check);
    findings.checks.extend(runs.iter().map(Run::refusals));
    findings.runs.extend(runs);
    Ok(())
}

async fn rounds(
    plan: &Plan,
    server: &Server,
    trace: &Arc<Trace>,
    filled: &Filled,
    say: Say<'_>,
) -> Result<[Measured; 2], BenchError> {
    let clock = Instant::now();
    let mut agents = Vec::new();
    for number in 0..trace.clients().len() {
        let client = Client::connect(server.address, "cursor").await?;
        let ids = filled.ids.clone();
        agents.push(Agent::new(client, trace.clone(), number, ids, clock));
    }
    let load = |until: &CancellationToken| Load {
        pace: Pace::Open(Arrivals {
            rate: plan.rate.unwrap_or(RATE),
            burst_len: 1,
            seed: plan.seed,
        }),
        duration: plan.duration / ROUNDS,
        calls: usize::MAX,
        until: until.clone(),
    };
    let never = CancellationToken::new();
    say("warming up".to_owned());
    (agents, _) = measure(server, agents, &load(&never)).await?;
    let (mut alone, mut together) = (Measured::default(), Measured::default());
    for round in 1..=ROUNDS {
        say(format!("round {round} of {ROUNDS}"));
        let measured;
        (agents, measured) = measure(server, agents, &load(&never)).await?;
        alone.absorb(measured);
        let imported = CancellationToken::new();
        let agents_load = Load {
            duration: Duration::MAX,
            ..load(&imported)
        };
        let work = measure(server, agents, &agents_load);
        let import = async {
            let done = import(plan, server, filled, round).await;
            imported.cancel();
            done
        };
        let (worked, imported) = tokio::join!(work, import);
        imported?;
        let measured;
        (agents, measured) = worked?;
        together.absorb(measured);
    }
    Ok([alone, together])
}

/// Another client stores its memories, one call each, as fast as it is let.
async fn import(
    plan: &Plan,
    server: &Server,
    filled: &Filled,
    round: u32,
) -> Result<(), BenchError> {
    let count = IMPORTERS as usize;
    let mut importers = Vec::with_capacity(count);
    for place in Place::all(count) {
        let client = Client::connect(server.address, "importer").await?;
        let (ids, seed) = (filled.ids.clone(), plan.seed + u64::from(round) + 1);
        importers.push(Caller::new(client, Kind::Add, ids, seed, place));
    }
    // What is refused is sent again.
    let mut left = u64::from(IMPORTED).min(filled.ids.len() as u64);
    while left > 0 {
        let load = Load {
            pace: Pace::Closed,
            duration: Duration::MAX,
            calls: usize::try_from(left.div_ceil(u64::from(IMPORTERS))).unwrap_or(usize::MAX),
            until: CancellationToken::new(),
        };
        let recording;
        (importers, recording) = drive(importers, &load).await?;
        left = left.saturating_sub(recording.calls());
    }
    Ok(())
}
