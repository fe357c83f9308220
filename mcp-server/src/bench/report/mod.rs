//! What a benchmark found, as data that can be kept and compared.

mod compare;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use compare::compare;

use super::{profile::Profile, trace::Reach, verify::Verdict};

/// Everything that a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was run.
    pub profile: Profile,
    /// Version of the server and of this program: they are the same.
    pub version: String,
    /// Processors of the machine, which server and load generator share.
    pub cpus: usize,
    /// Chance.
    pub seed: u64,
    /// Each measurement.
    pub runs: Vec<Run>,
    /// Starts of the server, where they were measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
    /// What was to be reached, and what was.
    pub checks: Vec<Check>,
}

/// The largest share of calls that may be refused.
const REFUSED_MAX: f64 = 0.001;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What distinguishes it from the others of its report.
    pub name: String,
    /// Memories that were there at first.
    pub memories: u32,
    /// Connections.
    pub clients: u32,
    /// Calls, by kind.
    pub operations: Vec<Operation>,
    /// Calls that were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Calls answered per second.
    pub requests_per_second: f64,
    /// Processor time of the server per answered call, in microseconds; where it can be known.
    pub server_cpu_us: Option<f64>,
    /// The load generator's part of all processor time; where it can be known.
    pub generator_cpu_share: Option<f64>,
    /// Memory that the server held in the end, in MiB; where it can be known.
    pub resident_mib: Option<f64>,
    /// How late the load generator itself was, 99th percentile, in ms; only of open loops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_late_p99_ms: Option<f64>,
    /// How reads were served, where the trace of agents was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
}

/// How the reads of agents were served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reads {
    /// The share that came from a cache, as the answers say.
    pub hit_ratio: f64,
    /// What a cache could have reached on the calls that were made.
    pub reach: Reach,
    /// Answers that said that they are out of date.
    pub marked_stale: u64,
    /// Whether what they said was true.
    pub verdict: Verdict,
}

/// The calls of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The kind.
    pub name: String,
    /// How many were answered.
    pub calls: u64,
    /// Half of them took no longer, in ms.
    pub p50_ms: f64,
    /// 95 % of them took no longer, in ms.
    pub p95_ms: f64,
    /// 99 % of them took no longer, in ms.
    pub p99_ms: f64,
    /// None took longer, in ms.
    pub max_ms: f64,
    /// The share that came from a cache.
    pub hit_ratio: f64,
}

/// Starts of a server on the same data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Memories in the data.
    pub memories: u32,
    /// From the start of the process to its first answer, in ms; the median of several starts.
    pub first_answer_ms: f64,
    /// Memory that it holds before the first call, in MiB; where it can be known.
    pub idle_mib: Option<f64>,
    /// Size of the program, in MiB.
    pub binary_mib: f64,
    /// The first call after a start, by kind, in ms; the median of several starts.
    pub first_call_ms: BTreeMap<String, f64>,
}

/// Something that was to be reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// What was found.
    pub value: f64,
    /// What was wanted.
    pub target: Target,
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
}

impl Check {
    /// A figure and what is wanted of it.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64, target: Target) -> Self {
        Self {
            name: name.into(),
            value,
            target,
        }
    }

    /// Whether it was reached. What could not be measured was not.
    #[must_use]
    pub fn passed(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
        }
    }
}

impl Report {
    /// Whether everything was reached.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }

    /// The run of this name.
    #[must_use]
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }
}

impl Run {
    /// Whether next to no call was refused. A disk may pause for longer than a call may take, which
    /// is then refused as it should be.
    #[must_use]
    pub fn refusals(&self) -> Check {
        let answered: u64 = self
            .operations
            .iter()
            .map(|operation| operation.calls)
            .sum();
        let refused: u64 = self.refused.values().sum();
        let share = refused as f64 / (answered + refused).max(1) as f64;
        let name = format!("share of calls that were refused: {}", self.name);
        Check::new(name, share, Target::AtMost(REFUSED_MAX))
    }

    /// The calls of this kind.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|operation| operation.name == name)
    }
}
