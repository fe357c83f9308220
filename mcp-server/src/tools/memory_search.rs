//! `memory_search`: finds memories by their words.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    memory::{Found, MemoryService, Search},
    written::Form,
};

/// Finds memories, best match first.
#[derive(Debug)]
pub struct MemorySearch {
    memory: MemoryService,
}

impl MemorySearch {
    /// The tool in front of `memory`.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self { memory }
    }
}

impl Tool for MemorySearch {
    type Arguments = Search;
    type Output = Found;

    const NAME: &'static str = "memory_search";
    const TITLE: &'static str = "Search memories";
    const DESCRIPTION: &'static str = "Find stored memories by their words, best match first. Use it before a task to recall what is already known. Plain words, no query syntax.";
    const EFFECT: Effect = Effect::Reads;

    fn form(found: &Found) -> Option<(&Form, usize)> {
        Some((&found.form, found.form_bytes_max()))
    }

    async fn call(&self, call: &Call, arguments: Search) -> Result<Found, ToolError> {
        Ok(self.memory.search(call, arguments).await?)
    }
}
