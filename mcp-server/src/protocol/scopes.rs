//! What a caller must be allowed to do for a request, told before the request is parsed as a whole.

use std::sync::Arc;

use rmcp::{ErrorData, model::ErrorCode};
use serde_json::json;

use super::{
    Envelope,
    envelope::{REFUSED, called_tool},
};
use crate::{auth::Scope, tools::Registry};

/// Says what requests take. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scopes(Arc<Registry>);

impl Scopes {
    /// For requests to the tools of `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self(registry)
    }

    /// What the request takes. The handler has the last word: where the name of the tool cannot be
    /// read in one pass, this says less than what is then asked for.
    #[must_use]
    pub fn required(&self, envelope: &Envelope<'_>) -> Scope {
        let tool = match envelope.method.as_ref() {
            "tools/call" => called_tool(envelope).and_then(|name| self.0.by_name(&name)),
            method => self.0.by_method(method).cloned(),
        };
        tool.map_or(Scope::Read, |tool| tool.required_scope())
    }
}

/// The error of a request that takes more than its caller may do.
#[must_use]
pub(super) fn insufficient_scope(required: Scope) -> ErrorData {
    let data = json!({"code": "insufficient_scope", "retryable": false, "scope": required});
    let message = insufficient_scope_message(required);
    ErrorData::new(ErrorCode(REFUSED), message, Some(data))
}

/// The same in words.
#[must_use]
pub fn insufficient_scope_message(required: Scope) -> String {
    format!("the token does not allow this: it takes one with the scope `{required}`")
}
