//! Tools that announce a change without making one, so that a test can see who
//! is told.

use serde_json::json;

use super::{Call, Outcome, Spec, fail, no_arguments, say};
use crate::subscriptions::Change;

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_trigger_tool_change",
        description: "Announces that the tools have changed",
        schema: no_arguments,
        run: |call| Box::pin(announce(call, Change::Tools)),
    },
    Spec {
        name: "test_trigger_prompt_change",
        description: "Announces that the prompts have changed",
        schema: no_arguments,
        run: |call| Box::pin(announce(call, Change::Prompts)),
    },
    Spec {
        name: "test_trigger_resource_change",
        description: "Announces that a resource has changed",
        schema: || {
            json!({
                "type": "object",
                "properties": { "uri": { "type": "string" } },
                "required": ["uri"],
            })
        },
        run: |call| Box::pin(announce_resource(call)),
    },
];

async fn announce(call: Call, change: Change) -> Outcome {
    call.shared
        .subscriptions
        .announce(&change, &call.context)
        .await;
    say("announced")
}

async fn announce_resource(call: Call) -> Outcome {
    match call.text_argument("uri").map(str::to_owned) {
        Some(uri) => announce(call, Change::Resource(uri)).await,
        None => fail("uri must be a string"),
    }
}
