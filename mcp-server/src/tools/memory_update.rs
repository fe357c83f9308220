//! `memory_update`: changes one memory.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    memory::{MemoryService, Update, Updated},
};

/// Changes parts of one memory.
#[derive(Debug)]
pub struct MemoryUpdate {
    memory: MemoryService,
}

impl MemoryUpdate {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

impl Tool for MemoryUpdate {
    type Arguments = Update;
    type Output = Updated;

    const NAME: &'static str = "memory_update";
    const TITLE: &'static str = "Change a memory";
    const DESCRIPTION: &'static str = "Change the text, tags or metadata of a stored memory. Give the version you read to be refused when somebody else has changed it since.";
    const EFFECT: Effect = Effect::Changes;

    async fn call(&self, call: &Call, arguments: Update) -> Result<Updated, ToolError> {
        Ok(self.memory.update(call, arguments).await?)
    }
}
