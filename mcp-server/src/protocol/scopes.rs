//! What a caller must be allowed to do for a request, told before the request is parsed as a whole.

use std::{borrow::Cow, sync::Arc};

use rmcp::{ErrorData, model::ErrorCode};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{Envelope, envelope::REFUSED};
use crate::{
    auth::Scope,
    tools::{Registry, required_scope},
};

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
            "tools/call" => envelope.params.and_then(|params| {
                let name = called(params)?;
                self.0.by_name(&name)
            }),
            method => self.0.by_method(method),
        };
        tool.map_or(Scope::Read, |tool| required_scope(tool.description()))
    }
}

fn called(params: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let named: Named<'_> = serde_json::from_str(params.get()).ok()?;
    Some(named.name)
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
