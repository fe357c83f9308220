//! `memory_delete`: deletes one memory.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    memory::{Delete, Deleted, MemoryService},
};

/// Deletes one memory by its id.
#[derive(Debug)]
pub struct MemoryDelete {
    memory: MemoryService,
}

impl MemoryDelete {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

impl Tool for MemoryDelete {
    type Arguments = Delete;
    type Output = Deleted;

    const NAME: &'static str = "memory_delete";
    const TITLE: &'static str = "Forget a memory";
    const DESCRIPTION: &'static str = "Delete one stored memory by its id, for good.";
    const EFFECT: Effect = Effect::ChangesOnce;

    async fn call(&self, call: &Call, arguments: Delete) -> Result<Deleted, ToolError> {
        Ok(self.memory.delete(call, arguments).await?)
    }
}
