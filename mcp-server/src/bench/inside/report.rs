//! What was found from inside.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Everything that a benchmark from inside found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InsideReport {
    /// When it began (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub began_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Samples of each operation that were asked for.
    pub samples_per_operation: u32,
    /// Whether the answers were checked, too.
    pub validated: bool,
    /// Whether every section met its target, and nothing was wrong.
    pub passed: bool,
    /// MCP operations, store, cache, end to end, concurrent.
    pub sections: Vec<SectionReport>,
    /// Memories of the benchmark that could not be deleted; they expire within ten minutes.
    pub memories_left_behind: u64,
}

/// One part of the report.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SectionReport {
    /// `mcp_operations`, `store`, `cache`, `end_to_end` or `concurrent`.
    pub section: String,
    /// 95 % of the samples of each operation should take no longer, in milliseconds.
    pub target_p95_ms: f64,
    /// Whether they did, no sample failed, and nothing was wrong.
    pub passed: bool,
    /// Samples per second, all operations together.
    pub operations_per_second: f64,
    /// Each operation.
    pub operations: Vec<OperationReport>,
    /// What was wrong with answers, at most a few examples; empty when nothing was checked.
    pub wrong: Vec<String>,
    /// Whether the time was over before all samples were taken.
    pub cut_short: bool,
}

/// The samples of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperationReport {
    /// The operation.
    pub operation: String,
    /// Samples that succeeded.
    pub samples: u64,
    /// Samples that failed; their time is not counted.
    pub errors: u64,
    /// Half of the samples took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 95 % of them took no longer, in milliseconds.
    pub p95_ms: f64,
    /// 99 % of them took no longer, in milliseconds.
    pub p99_ms: f64,
    /// None took longer, in milliseconds.
    pub max_ms: f64,
    /// The share that was answered from a cache, 0 to 1.
    pub cached: f64,
}
