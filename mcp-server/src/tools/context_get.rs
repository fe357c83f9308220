//! `context_get`: reads one context.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    context::{Context, ContextService, Get},
};

/// Reads one context by its id.
#[derive(Debug)]
pub struct ContextGet {
    contexts: ContextService,
}

impl ContextGet {
    /// The tool in front of `contexts`.
    #[must_use]
    pub fn new(contexts: ContextService) -> Self {
        Self { contexts }
    }
}

impl Tool for ContextGet {
    type Arguments = Get;
    type Output = Context;

    const NAME: &'static str = "context_get";
    const TITLE: &'static str = "Read a context";
    const DESCRIPTION: &'static str = "Read one stored context by its id.";
    const EFFECT: Effect = Effect::Reads;

    async fn call(&self, call: &Call, arguments: Get) -> Result<Context, ToolError> {
        let context = self.contexts.get(call, arguments).await?;
        Ok(std::sync::Arc::unwrap_or_clone(context))
    }
}
