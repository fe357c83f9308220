//! Tools that refuse clients without a capability.

use rmcp::{ErrorData, model::ClientCapabilities};

use super::{Call, Outcome, Spec, at_once, no_arguments, say};
use crate::inputs;

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_missing_capability",
        description: "Works only for clients that offer sampling",
        schema: no_arguments,
        run: |call| at_once(need_sampling(&call)),
    },
    Spec {
        name: "test_streaming_elicitation",
        description: "Asks for input in its result, never on the stream",
        schema: no_arguments,
        run: |call| at_once(ask_in_result(&call)),
    },
];

fn need_sampling(call: &Call) -> Outcome {
    if call.client().sampling.is_none() {
        let needed = ClientCapabilities::builder().enable_sampling().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    say("the client offers sampling")
}

fn ask_in_result(call: &Call) -> Outcome {
    if call.answers.has_all(&["value"]) {
        return say("received a value");
    }
    let question = inputs::form("value", "Which value?", "value", "string");
    Ok(inputs::ask(&call.context, [question], None)?.into())
}
