//! One part of the server at a time: the same calls on the same data, with it and without it.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    Filled, Findings, Plan, Say,
    caller::{Caller, Place},
};
use crate::{
    bench::{
        client::Client,
        error::BenchError,
        fill::copy,
        history::Id,
        load::Load,
        measure::measure,
        pace::Pace,
        report::{Check, Run, Target},
        server::{Launch, Server},
        trace::{Kind, Trace, TraceSettings},
    },
    doctor::ask,
};

/// Connections, where none are given.
const CLIENTS: u32 = 50;
/// Calls of each kind, where none are given.
const SAMPLES: u32 = 20_000;
/// Memories that are asked for again and again. Callers read the first half of what they know.
const HOT: usize = 2_000;
/// Calls before the measured ones, as a part of those.
const WARM_UP: u32 = 5;
/// The share of look-ups that a warm cache answers.
const HITS_MIN: f64 = 0.9;
/// Writes of many callers at once that share transactions, against those that do not.
const BATCHED_MIN: f64 = 1.4;
/// The share of the loans of a pool that had been lent before.
const REUSE_MIN: f64 = 0.9;

/// A part that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Memories that are kept in memory.
    Cache,
    /// Writes that share transactions.
    Batch,
    /// Connections that are lent.
    Pool,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Batch => "batch",
            Self::Pool => "pool",
        }
    }

    /// What is called.
    fn kind(self) -> Kind {
        match self {
            Self::Cache | Self::Pool => Kind::Get,
            Self::Batch => Kind::Add,
        }
    }

    /// The settings of both servers, and what leaves the part out of the second; where there is
    /// nothing, there is no second.
    fn settings(self) -> (&'static [&'static str], &'static [&'static str]) {
        const NO_CACHE: &str = "MCP_SERVER__MEMORY__CACHE__ENABLED=false";
        const NO_BATCH: &str = "MCP_SERVER__MEMORY__BATCH__ENABLED=false";
        match self {
            Self::Cache => (&[], &[NO_CACHE]),
            Self::Batch => (&[], &[NO_BATCH]),
            // Past the cache, every read takes a connection.
            Self::Pool => (&[NO_CACHE], &[]),
        }
    }
}

pub(super) async fn run(
    part: Part,
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
    let hot: Arc<[Id]> = filled.ids.iter().take(HOT).copied().collect();
    let (both, without) = part.settings();
    let mut settings = vec![("with", both.to_vec())];
    if !without.is_empty() {
        settings.push(("without", [both, without].concat()));
    }
    let mut runs = Vec::new();
    for (how, settings) in settings {
        let name = format!("{how} the {}, {memories} memories", part.name());
        let launch = Launch {
            settings: settings.into_iter().map(str::to_owned).collect(),
            ..launch.clone()
        };
        let data = filled.folder.path().join("run");
        copy(&filled.data(), &data).await?;
        say(format!("{how} the {}", part.name()));
        let run = calls(part, plan, (name, memories), &launch, &data, &hot, findings).await?;
        std::fs::remove_dir_all(&data).map_err(BenchError::io("cannot remove scratch data"))?;
        findings.checks.push(run.refusals());
        runs.push(run);
    }
    findings.checks.extend(checks(part, &runs));
    findings.runs.extend(runs);
    Ok(())
}

/// Calls as fast as the connections go, warm.
async fn calls(
    part: Part,
    plan: &Plan,
    (name, memories): (String, u32),
    launch: &Launch,
    data: &Path,
    hot: &Arc<[Id]>,
    findings: &mut Findings,
) -> Result<Run, BenchError> {
    let clients = plan.clients.unwrap_or(CLIENTS);
    let each = plan.samples.unwrap_or(SAMPLES).div_ceil(clients);
    launch
        .with(data, async |server| {
            let mut callers = Vec::new();
            for place in Place::all(clients as usize) {
                let client = Client::connect(server.address, "mcp-server bench").await?;
                callers.push(Caller::new(
                    client,
                    part.kind(),
                    hot.clone(),
                    plan.seed,
                    place,
                ));
            }
            let load = |calls: u32| Load {
                pace: Pace::Closed,
                duration: plan.duration,
                calls: calls as usize,
                until: CancellationToken::new(),
            };
            let warm_up = load(each.div_ceil(WARM_UP));
            let (callers, _) = measure(server, callers, &warm_up).await?;
            let (_, measured) = measure(server, callers, &load(each)).await?;
            if part == Part::Pool {
                findings.checks.extend(pools(server).await?);
            }
            Ok(measured.run(name, memories, clients))
        })
        .await
}

/// What the server says of its pools.
async fn pools(server: &Server) -> Result<Vec<Check>, BenchError> {
    let status = ask(server.address, "/api/status", None).await;
    let status = status.map_err(BenchError::io("cannot ask for the status"))?;
    let pools = status.body["pools"].as_array().cloned().unwrap_or_default();
    let used = pools
        .iter()
        .filter(|pool| pool["checkouts"].as_u64() > Some(0));
    let checks: Vec<_> = used
        .flat_map(|pool| {
            let name = pool["name"].as_str().unwrap_or_default();
            let figure = |member: &str| pool[member].as_f64().unwrap_or(f64::NAN);
            let open = figure("in_use") + figure("idle");
            let reused = format!("loans that had been lent before: {name}");
            let most = format!("connections: {name}");
            [
                Check::new(reused, figure("reuse_share"), Target::AtLeast(REUSE_MIN)),
                Check::new(most, open, Target::AtMost(figure("connections_max"))),
            ]
        })
        .collect();
    match checks.is_empty() {
        // What could not be measured was not reached.
        true => Ok(vec![Check::new(
            "pools that were used",
            0.0,
            Target::AtLeast(1.0),
        )]),
        false => Ok(checks),
    }
}

fn checks(part: Part, runs: &[Run]) -> Vec<Check> {
    let [with, without] = runs else {
        return Vec::new();
    };
    let times = with.requests_per_second / without.requests_per_second;
    let name = format!("requests/s, times those without the {}", part.name());
    match part {
        Part::Cache => {
            let hits = with.operation(Kind::Get.name()).map(|get| get.hit_ratio);
            vec![
                Check::new(
                    "gets from the cache",
                    hits.unwrap_or(0.0),
                    Target::AtLeast(HITS_MIN),
                ),
                Check::new(name, times, Target::AtLeast(1.0)),
            ]
        }
        Part::Batch => vec![Check::new(name, times, Target::AtLeast(BATCHED_MIN))],
        Part::Pool => Vec::new(),
    }
}
