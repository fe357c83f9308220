//! What a tool is.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::ToolError;
use crate::{auth::Scope, call::Call, monitoring::Tier, written::Form};

/// What a tool does to the world; it becomes the tool's annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Reads,
    /// Only adds; a second call adds again.
    Adds,
    /// Changes or removes what is there; a second call changes it again.
    Changes,
    /// Changes or removes what is there; a second call finds nothing left to do.
    ChangesOnce,
}

/// A tool with typed arguments and a typed result.
///
/// The schemas that clients see are derived from [`Tool::Arguments`] and [`Tool::Output`], so that
/// they cannot drift from what is accepted and returned.
pub trait Tool: Send + Sync + 'static {
    /// The arguments; must be a JSON object.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;
    /// The structured result; must be a JSON object.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// The name clients call it by. `memory_add` is also the JSON-RPC method `memory/add`.
    const NAME: &'static str;
    /// A human-readable title.
    const TITLE: &'static str;
    /// What it does and when to use it, for the model that chooses among tools.
    const DESCRIPTION: &'static str;
    /// What it does to the world.
    const EFFECT: Effect;
    /// What a call is expected to take.
    const TIER: Tier = Tier::Local;
    /// What a caller must be allowed to do, where that does not follow from what the tool does.
    const SCOPE: Option<Scope> = None;

    /// Where a result's written form is kept, and the most bytes it may have there; `None`: it is
    /// written each time.
    fn form(_: &Self::Output) -> Option<(&Form, usize)> {
        None
    }

    /// Runs the tool.
    fn call(
        &self,
        call: &Call,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}
