//! What can be run, one file a profile.

mod agent_loop;
mod caller;
mod gateway;
mod import;
mod memory;
mod part;
mod soak;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::part::Part;
use super::{
    error::BenchError,
    fill::fill,
    history::Id,
    report::{Check, Report, Run, Start},
    server::Launch,
    trace::Trace,
};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Agents at work: 70 % searches, 15 % gets, 10 % adds, 5 % updates, deletes and batches, in
    /// bursts, asking again for what is hot. Judges every answer.
    AgentLoop,
    /// Each memory tool by itself, and the first calls after a start.
    Memory,
    /// Agents at a fixed rate, alone and while another client stores 3,466 memories.
    Import,
    /// Agents at a fixed rate on a store that does not grow, for as long as `--duration` says: whether
    /// memory, descriptors, threads and latencies stay as they are after the first third.
    Soak,
    /// Calls to other servers through this one, beside calls to them directly; lists and starts with
    /// slow and dead ones among them; the file of connectors. Needs no memories.
    Gateway,
    /// Gets of the same 1,000 memories, with the cache and without it.
    Cache,
    /// Adds of many callers at once, with shared transactions and without them.
    Batch,
    /// Gets past the cache: how far connections to the database are used again.
    Pool,
}

/// What is run, and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What.
    pub profile: Profile,
    /// Chance.
    pub seed: u64,
    /// Memories that are there at first; the profile runs once for each number.
    pub memories: Vec<u32>,
    /// Connections; the profile's own choice when absent.
    pub clients: Option<u32>,
    /// Measured calls at most; the profile's own choice when absent.
    pub samples: Option<u32>,
    /// How long each measurement takes at most.
    pub duration: Duration,
    /// Calls per second at a fixed rate; as many as possible, or the profile's own choice, when
    /// absent.
    pub rate: Option<f64>,
    /// Whether the same is run once more with `--safe-mode`.
    pub against_safe_mode: bool,
}

/// Tells the user what goes on.
pub type Say<'a> = &'a dyn Fn(String);

/// Runs a plan: starts servers on data of their own, which is gone afterwards, and measures them.
///
/// # Errors
///
/// [`BenchError`]: no report can be made. That a target is missed is no error.
///
/// # Cancel safety
///
/// Dropped, it kills the server that it started.
pub async fn run(plan: &Plan, launch: &Launch, say: Say<'_>) -> Result<Report, BenchError> {
    if plan.against_safe_mode && plan.profile != Profile::AgentLoop {
        let says = "`--compare safe-mode` is for the profile agent-loop";
        return Err(BenchError::Settings(says.to_owned()));
    }
    let mut findings = Findings::default();
    if plan.profile == Profile::Gateway {
        gateway::run(plan, launch, say, &mut findings).await?;
    }
    for memories in &plan.memories {
        match plan.profile {
            Profile::Gateway => {}
            Profile::AgentLoop => {
                agent_loop::run(plan, *memories, launch, say, &mut findings).await?;
            }
            Profile::Memory => memory::run(plan, *memories, launch, say, &mut findings).await?,
            Profile::Import => import::run(plan, *memories, launch, say, &mut findings).await?,
            Profile::Soak => soak::run(plan, *memories, launch, say, &mut findings).await?,
            Profile::Cache | Profile::Batch | Profile::Pool => {
                let part = match plan.profile {
                    Profile::Cache => Part::Cache,
                    Profile::Batch => Part::Batch,
                    _ => Part::Pool,
                };
                part::run(part, plan, *memories, launch, say, &mut findings).await?;
            }
        }
    }
    Ok(Report {
        profile: plan.profile,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cpus: std::thread::available_parallelism().map_or(1, Into::into),
        seed: plan.seed,
        runs: findings.runs,
        starts: findings.starts,
        checks: findings.checks,
    })
}

/// What the profiles find.
#[derive(Default)]
struct Findings {
    runs: Vec<Run>,
    starts: Vec<Start>,
    checks: Vec<Check>,
}

/// A folder with the data of a server that was filled and stopped.
struct Filled {
    folder: tempfile::TempDir,
    ids: Arc<[Id]>,
}

impl Filled {
    async fn new(launch: &Launch, trace: &Arc<Trace>, say: Say<'_>) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir().map_err(BenchError::io("no room for scratch data"))?;
        let memories = trace.settings().memories;
        say(format!("storing {memories} memories"));
        let progress = |done| say(format!("{done} of {memories} memories stored"));
        let ids = launch
            .with(&folder.path().join("data"), async |server| {
                let ids = fill(server.address, trace, progress).await?;
                server.settled().await?;
                Ok(ids)
            })
            .await?;
        Ok(Self { folder, ids })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Profile {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentLoop => "agent-loop",
            Self::Memory => "memory",
            Self::Import => "import",
            Self::Soak => "soak",
            Self::Gateway => "gateway",
            Self::Cache => "cache",
            Self::Batch => "batch",
            Self::Pool => "pool",
        }
    }
}
