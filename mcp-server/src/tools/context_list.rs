//! `context_list`: lists contexts within a budget of tokens.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    context::{ContextService, List, Listed},
};

/// Lists contexts, as many as fit into a budget of tokens.
#[derive(Debug)]
pub struct ContextList {
    contexts: ContextService,
}

impl ContextList {
    /// The tool in front of `contexts`.
    #[must_use]
    pub fn new(contexts: ContextService) -> Self {
        Self { contexts }
    }
}

impl Tool for ContextList {
    type Arguments = List;
    type Output = Listed;

    const NAME: &'static str = "context_list";
    const TITLE: &'static str = "List contexts";
    const DESCRIPTION: &'static str = "List stored contexts, as many as fit into a budget of tokens: the newest first, or with a query the most relevant first. Use it at the start of a task to load what is known. Says what did not fit, to be read one by one with context_get.";
    const EFFECT: Effect = Effect::Reads;

    async fn call(&self, call: &Call, arguments: List) -> Result<Listed, ToolError> {
        Ok(self.contexts.list(call, arguments).await?)
    }
}
