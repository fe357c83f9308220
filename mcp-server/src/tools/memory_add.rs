//! `memory_add`: stores a text.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    memory::{Add, Added, MemoryService},
};

/// Stores a new memory and answers when it is durable.
#[derive(Debug)]
pub struct MemoryAdd {
    memory: MemoryService,
}

impl MemoryAdd {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

impl Tool for MemoryAdd {
    type Arguments = Add;
    type Output = Added;

    const NAME: &'static str = "memory_add";
    const TITLE: &'static str = "Remember";
    const DESCRIPTION: &'static str = "Store a text in long-term memory. Use it for facts, decisions and preferences that should be found again in later sessions. Returns the memory's id.";
    const EFFECT: Effect = Effect::Adds;

    async fn call(&self, call: &Call, arguments: Add) -> Result<Added, ToolError> {
        Ok(self.memory.add(call, arguments).await?)
    }
}
