//! `memory_get`: reads one memory.

use std::sync::Arc;

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    memory::{Get, Memory, MemoryService},
    written::Form,
};

/// Reads one memory by its id.
#[derive(Debug)]
pub struct MemoryGet {
    memory: MemoryService,
}

impl MemoryGet {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

impl Tool for MemoryGet {
    type Arguments = Get;
    type Output = Arc<Memory>;

    const NAME: &'static str = "memory_get";
    const TITLE: &'static str = "Read a memory";
    const DESCRIPTION: &'static str = "Read one stored memory by its id.";
    const EFFECT: Effect = Effect::Reads;

    fn form(memory: &Arc<Memory>) -> Option<(&Form, usize)> {
        Some((&memory.form, memory.form_bytes_max()))
    }

    async fn call(&self, call: &Call, arguments: Get) -> Result<Arc<Memory>, ToolError> {
        Ok(self.memory.get(call, arguments).await?)
    }
}
