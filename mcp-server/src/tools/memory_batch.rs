//! `memory_batch`: runs several operations in one call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Effect, Tool, ToolError, registry::parse};
use crate::{
    call::Call,
    memory::{MemoryError, MemoryService, Operation, Outcome},
    monitoring::Tier,
};

/// Runs up to 50 operations in order, in one durable write, each with its own result.
#[derive(Debug)]
pub struct MemoryBatch {
    memory: MemoryService,
}

impl MemoryBatch {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

/// Several memory operations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    // Kept raw, so that one malformed operation fails by itself and not the whole batch.
    /// The operations, at most 50. They run in order, and one that fails leaves the others alone.
    #[schemars(with = "Vec<Operation>", length(min = 1))]
    operations: Vec<Value>,
}

/// The results of a batch.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Results {
    /// One result per operation, in their order.
    results: Vec<ItemResult>,
}

/// The result of one operation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemResult {
    /// What the operation returned.
    Ok(Outcome),
    /// Why it failed.
    Error(ItemError),
}

/// Why one operation failed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ItemError {
    /// A stable name of the cause, such as `not_found`.
    code: String,
    /// What happened and what to do.
    message: String,
}

impl Tool for MemoryBatch {
    type Arguments = Batch;
    type Output = Results;

    const NAME: &'static str = "memory_batch";
    const TITLE: &'static str = "Several memory operations";
    const DESCRIPTION: &'static str = "Run up to 50 memory operations in one call: \
        {operations: [{type: \"add\" | \"search\" | \"get\" | \"update\" | \"delete\", data: the \
        arguments of that tool}]}. Much faster than single calls. Every operation has its own \
        result, in order.";
    const EFFECT: Effect = Effect::Changes;
    const TIER: Tier = Tier::Fast;

    async fn call(&self, call: &Call, batch: Batch) -> Result<Results, ToolError> {
        let operations = batch
            .operations
            .into_iter()
            .map(|operation| {
                parse(operation)
                    .map_err(|error| MemoryError::invalid("operation", error.to_string()))
            })
            .collect();
        let results = self.memory.batch(call, operations).await?;
        Ok(Results {
            results: results.into_iter().map(ItemResult::from).collect(),
        })
    }
}

impl From<Result<Outcome, MemoryError>> for ItemResult {
    fn from(result: Result<Outcome, MemoryError>) -> Self {
        match result {
            Ok(outcome) => Self::Ok(outcome),
            Err(error) => Self::Error(ItemError {
                code: error.code().to_owned(),
                message: error.to_string(),
            }),
        }
    }
}
