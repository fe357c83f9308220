//! Tools: one table per group, and what all of them share.

mod capabilities;
mod changes;
mod content;
mod interaction;
mod mrtr;
mod notifications;
mod schemas;
mod tasks;

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, LazyLock},
};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
        ContentBlock, JsonObject, ListToolsResult, Tool, object,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    inputs::Answers,
    shared::{Shared, TTL_MS},
};

/// In the order in which tools are listed.
const GROUPS: &[&[Spec]] = &[
    content::TOOLS,
    notifications::TOOLS,
    interaction::TOOLS,
    schemas::TOOLS,
    changes::TOOLS,
    capabilities::TOOLS,
    mrtr::TOOLS,
    tasks::TOOLS,
];

/// The definitions, built once: the transport asks for one with every call.
static DEFINITIONS: LazyLock<Vec<Tool>> = LazyLock::new(|| specs().map(Spec::definition).collect());

/// What a tool answers: a result, a question to the client, or a task.
type Outcome = Result<CallToolResponse, ErrorData>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A line in a group's table.
struct Spec {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
    run: fn(Call) -> Running,
}

impl Spec {
    fn definition(&self) -> Tool {
        Tool::new(self.name, self.description, object((self.schema)()))
    }
}

/// A `tools/call` on its way to its tool.
pub(crate) struct Call {
    name: String,
    arguments: JsonObject,
    answers: Answers,
    request_state: Option<String>,
    context: RequestContext<RoleServer>,
    shared: Arc<Shared>,
}

impl Call {
    /// Takes the request apart.
    pub(crate) fn new(
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            name: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            answers: request.input_responses.into(),
            request_state: request.request_state,
            context,
            shared,
        }
    }

    fn text_argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }

    fn client(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }
}

/// All tools, always in the same order.
pub(crate) fn list() -> ListToolsResult {
    ListToolsResult::with_all_items(DEFINITIONS.clone())
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

/// The definition of the tool `name`.
pub(crate) fn definition(name: &str) -> Option<Tool> {
    DEFINITIONS.iter().find(|tool| tool.name == name).cloned()
}

/// Runs the tool that `call` names.
pub(crate) async fn run(call: Call) -> Outcome {
    match specs().find(|spec| spec.name == call.name) {
        Some(spec) => (spec.run)(call).await,
        None => Err(ErrorData::invalid_params("unknown tool", None)),
    }
}

fn specs() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}

fn no_arguments() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// A tool that has nothing to wait for.
fn at_once(outcome: Outcome) -> Running {
    Box::pin(ready(outcome))
}

fn content(blocks: Vec<ContentBlock>) -> Outcome {
    Ok(CallToolResult::success(blocks).into())
}

fn say(text: impl Into<String>) -> Outcome {
    content(vec![ContentBlock::text(text)])
}

/// A failure for the model to read, rather than a protocol error.
fn fail(text: impl Into<String>) -> Outcome {
    Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_tool_has_a_name_of_its_own() {
        let names: BTreeSet<_> = specs().map(|spec| spec.name).collect();
        assert_eq!(names.len(), specs().count());
    }

    #[test]
    fn the_first_tool_needs_no_arguments() {
        // The suite's header checks call whichever tool is listed first, with none.
        assert_eq!(list().tools[0].name, "test_simple_text");
    }
}
