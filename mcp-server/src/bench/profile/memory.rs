//! Each memory tool by itself, and the first calls after a start.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Filled, Findings, Plan, Say,
    caller::{BATCH_LEN, Caller, Place},
};
use crate::bench::{
    client::Client,
    error::BenchError,
    history::Id,
    load::{Load, Worker},
    measure::{Measured, measure, mib, millis},
    pace::{Arrivals, Pace},
    report::{Check, Run, Start, Target},
    server::{Launch, Server},
    trace::{Kind, Trace, TraceSettings},
};

/// Connections, where none are given.
const CLIENTS: [u32; 3] = [1, 16, 50];
/// The targets are for so many memories and connections.
const TARGET_MEMORIES: u32 = 100_000;
const TARGET_CLIENTS: u32 = 50;
/// Starts of the server for each kind of first call.
const STARTS: usize = 3;
/// The first call after a start may take so many times as long as later ones.
const FIRST_CALL_MAX: f64 = 1.5;

/// What is called, how often at most, and how long 95 % of the calls may take, in ms. What changes
/// memories comes after what reads them.
const WORK: [(Kind, u32, f64); 6] = [
    (Kind::Get, 20_000, 1.0),
    (Kind::Search, 5_000, 10.0),
    (Kind::Add, 2_000, 5.0),
    (Kind::Batch, 200, 20.0),
    (Kind::Update, 2_000, 50.0),
    (Kind::Delete, 1_000, 50.0),
];

pub(super) async fn run(
    plan: &Plan,
    memories: u32,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    let trace = Arc::new(Trace::new(TraceSettings {
        seed: plan.seed,
        clients: 1,
        memories,
        calls: 0,
    }));
    let filled = Filled::new(launch, &trace, say).await?;
    let clients = plan
        .clients
        .map_or_else(|| CLIENTS.to_vec(), |clients| vec![clients]);
    let runs = launch
        .with(&filled.data(), async |server| {
            let mut runs = Vec::new();
            let mut deleted = 0;
            for clients in clients {
                say(format!("{clients} connections"));
                let measured = tools(plan, server, &filled.ids, clients, &mut deleted).await?;
                let name = format!("{clients} connections, {memories} memories");
                runs.push(measured.run(name, memories, clients));
            }
            Ok(runs)
        })
        .await?;
    say("starting again and again".to_owned());
    let start = starts(plan, launch, &filled.data(), &filled.ids).await?;
    findings.checks.extend(checks(&runs, &start));
    findings.runs.extend(runs);
    findings.starts.push(start);
    Ok(())
}

/// Every tool, one after the other; counts what may have been deleted.
async fn tools(
    plan: &Plan,
    server: &Server,
    ids: &Arc<[Id]>,
    clients: u32,
    deleted: &mut usize,
) -> Result<Measured, BenchError> {
    let mut all = Measured::default();
    for (number, (kind, calls, _)) in (0..).zip(WORK) {
        let calls = plan.samples.unwrap_or(calls);
        let load = Load {
            pace: pace(plan, kind),
            duration: plan.duration,
            calls: calls.div_ceil(clients) as usize,
            until: CancellationToken::new(),
        };
        let count = clients as usize;
        let mut callers = Vec::with_capacity(count);
        for place in Place::all(count) {
            let place = Place {
                deleted: *deleted,
                ..place
            };
            let client = Client::connect(server.address, "mcp-server bench").await?;
            let seed = plan.seed + (u64::from(clients) << 8) + number;
            callers.push(Caller::new(client, kind, ids.clone(), seed, place));
        }
        let (_, measured) = measure(server, callers, &load).await?;
        if kind == Kind::Delete {
            *deleted += load.calls * count;
        }
        all.absorb(measured);
    }
    Ok(all)
}

/// As fast as possible, or so many operations per second: those of a batch count one by one.
fn pace(plan: &Plan, kind: Kind) -> Pace {
    let operations = match kind {
        Kind::Batch => BATCH_LEN,
        _ => 1,
    };
    plan.rate.map_or(Pace::Closed, |rate| {
        Pace::Open(Arrivals {
            rate: rate / f64::from(operations),
            burst_len: 1,
            seed: plan.seed,
        })
    })
}

/// The first call after a start, of each kind that there is a target for.
async fn starts(
    plan: &Plan,
    launch: &Launch,
    data: &Path,
    ids: &Arc<[Id]>,
) -> Result<Start, BenchError> {
    let (mut started, mut idle) = (Vec::new(), Vec::new());
    let mut first_call_ms = BTreeMap::new();
    for kind in [Kind::Get, Kind::Search, Kind::Add] {
        let mut calls = Vec::new();
        for number in 0..STARTS {
            let seed = plan.seed + 1_000 + number as u64;
            launch
                .with(data, async |server| {
                    started.push(server.started);
                    idle.extend(server.usage().map(|usage| usage.resident_bytes));
                    calls.extend(first_call(server, kind, ids, seed).await?);
                    Ok(())
                })
                .await?;
        }
        if let Some(median) = median(&mut calls) {
            first_call_ms.insert(kind.name().to_owned(), millis(median));
        }
    }
    let binary = std::fs::metadata(&launch.binary).map_err(BenchError::io("the program"))?;
    Ok(Start {
        memories: u32::try_from(ids.len()).unwrap_or(u32::MAX),
        first_answer_ms: median(&mut started).map_or(0.0, millis),
        idle_mib: median(&mut idle).map(mib),
        binary_mib: mib(binary.len()),
        first_call_ms,
    })
}

async fn first_call(
    server: &Server,
    kind: Kind,
    ids: &Arc<[Id]>,
    seed: u64,
) -> Result<Option<Duration>, BenchError> {
    let client = Client::connect(server.address, "mcp-server bench").await?;
    let only = Place {
        number: 0,
        count: 1,
        deleted: 0,
    };
    let mut caller = Caller::new(client, kind, ids.clone(), seed, only);
    let called = caller.call().await?;
    Ok(called.map(|called| called.received - called.sent))
}

fn median<T: Ord + Copy>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn checks(runs: &[Run], start: &Start) -> Vec<Check> {
    let mut checks = Vec::new();
    for run in runs {
        let (memories, clients) = (run.memories, run.clients);
        if memories == TARGET_MEMORIES && clients == TARGET_CLIENTS {
            for (kind, _, target) in WORK {
                let operation = run.operation(kind.name());
                checks.extend(operation.map(|found| {
                    let name = format!("p95 of {}, ms, at {clients} connections", found.name);
                    Check::new(name, found.p95_ms, Target::AtMost(target))
                }));
            }
        }
        if clients == 1 {
            for (kind, first) in &start.first_call_ms {
                checks.extend(run.operation(kind).map(|steady| {
                    let name = format!(
                        "first {kind} after a start, times the p50 of later ones, at {memories} memories"
                    );
                    Check::new(name, first / steady.p50_ms, Target::AtMost(FIRST_CALL_MAX))
                }));
            }
        }
        checks.push(run.refusals());
    }
    checks
}
