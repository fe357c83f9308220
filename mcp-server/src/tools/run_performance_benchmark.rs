//! `run_performance_benchmark`: measures this server while it serves.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Effect, Tool, ToolError};
use crate::{
    auth::Scope,
    bench::inside::{Extent, Inside, InsideReport, SAMPLES, SAMPLES_MAX},
    call::Call,
};

/// Measures this server while it serves.
#[derive(Debug)]
pub struct RunPerformanceBenchmark {
    inside: Inside,
}

impl RunPerformanceBenchmark {
    /// The tool that runs `inside`.
    #[must_use]
    pub fn new(inside: Inside) -> Self {
        Self { inside }
    }
}

/// How much is measured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// Samples of each operation, from 1 to 1000; 50 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub samples_per_operation: Option<u32>,
    /// Whether the answers are checked, too; true when absent.
    #[serde(default)]
    pub include_validation: Option<bool>,
}

impl Tool for RunPerformanceBenchmark {
    type Arguments = Benchmark;
    type Output = InsideReport;

    const NAME: &'static str = "run_performance_benchmark";
    const TITLE: &'static str = "Run a benchmark";
    const DESCRIPTION: &'static str = "Measure this server while it serves: really runs memory operations in a scratch namespace of its own, which is removed afterwards, and reports latency percentiles for five sections (MCP operations, store, cache, end to end, concurrent). Takes up to 30 seconds; only one runs at a time.";
    const EFFECT: Effect = Effect::Adds;
    const SCOPE: Option<Scope> = Some(Scope::Admin);

    async fn call(&self, call: &Call, arguments: Benchmark) -> Result<InsideReport, ToolError> {
        let samples = arguments.samples_per_operation.unwrap_or(SAMPLES);
        if !(1..=SAMPLES_MAX).contains(&samples) {
            return Err(ToolError::Arguments {
                reason: format!("samples_per_operation: must be from 1 to {SAMPLES_MAX}"),
            });
        }
        let extent = Extent {
            samples,
            validate: arguments.include_validation.unwrap_or(true),
        };
        let report = Box::pin(self.inside.run(call, extent)).await;
        let report = report.map_err(|busy| ToolError::Busy {
            reason: busy.to_string(),
        })?;
        Ok((*report).clone())
    }
}
