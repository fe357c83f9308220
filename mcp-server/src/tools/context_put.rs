//! `context_put`: stores a context under its id.

use super::{Effect, Tool, ToolError};
use crate::{
    call::Call,
    context::{ContextReceipt, ContextService, Put},
};

/// Stores a context and answers when it is durable.
#[derive(Debug)]
pub struct ContextPut {
    contexts: ContextService,
}

impl ContextPut {
    /// The tool in front of `contexts`.
    #[must_use]
    pub fn new(contexts: ContextService) -> Self {
        Self { contexts }
    }
}

impl Tool for ContextPut {
    type Arguments = Put;
    type Output = ContextReceipt;

    const NAME: &'static str = "context_put";
    const TITLE: &'static str = "Store a context";
    const DESCRIPTION: &'static str = "Store a text or a JSON object under an id, in place of what is there: rules to follow, the state of a session, results that another task needs. Give the version you read to be told when somebody else changed it meanwhile.";
    const EFFECT: Effect = Effect::Changes;

    async fn call(&self, call: &Call, arguments: Put) -> Result<ContextReceipt, ToolError> {
        Ok(self.contexts.put(call, arguments).await?)
    }
}
