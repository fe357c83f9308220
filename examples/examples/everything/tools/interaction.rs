//! Tools that send a request to the client while they run, which only clients
//! with a session allow. For the others see the group `mrtr`.

use rmcp::model::{
    ClientResult, ElicitRequest, ElicitRequestParams, SamplingMessageContentBlock, ServerRequest,
};
use serde_json::{Value, json};

use super::{Call, Outcome, Spec, fail, no_arguments, say};
use crate::inputs;

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_sampling",
        description: "Has the client's model answer a prompt",
        schema: || required_text("prompt", "What to ask the model"),
        run: |call| Box::pin(sample(call)),
    },
    Spec {
        name: "test_elicitation",
        description: "Asks the user for a name and an address",
        schema: || required_text("message", "What to tell the user"),
        run: |call| {
            let message = call.text_argument("message").unwrap_or("Who are you?");
            let form = inputs::form_params(message, contact());
            Box::pin(elicit(call, form))
        },
    },
    Spec {
        name: "test_elicitation_sep1034_defaults",
        description: "Asks for one field of each type, with defaults",
        schema: no_arguments,
        run: |call| {
            let form = inputs::form_params("Keep or change the defaults", defaults());
            Box::pin(elicit(call, form))
        },
    },
    Spec {
        name: "test_elicitation_sep1330_enums",
        description: "Asks for one choice of each kind",
        schema: no_arguments,
        run: |call| Box::pin(elicit(call, inputs::form_params("Choose", choices()))),
    },
];

async fn sample(call: Call) -> Outcome {
    if call.client().sampling.is_none() {
        return fail("the client does not offer sampling");
    }
    let prompt = call.text_argument("prompt").unwrap_or("Hello");
    let params = inputs::sampling_params(prompt);
    match call.context.peer.create_message(params).await {
        Err(error) => fail(format!("sampling failed: {error}")),
        Ok(result) => {
            let text = result
                .message
                .content
                .first()
                .and_then(SamplingMessageContentBlock::as_text)
                .map_or("(no text)", |text| text.text.as_str());
            say(format!("LLM response: {text}"))
        }
    }
}

async fn elicit(call: Call, form: ElicitRequestParams) -> Outcome {
    if call.client().elicitation.is_none() {
        return fail("the client does not offer elicitation");
    }
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
    match call.context.peer.send_request(request).await {
        Err(error) => fail(format!("elicitation failed: {error}")),
        Ok(ClientResult::ElicitResult(result)) => say(format!(
            "Elicitation completed: action={}, content={}",
            json!(result.action).as_str().unwrap_or_default(),
            result.content.unwrap_or_default(),
        )),
        Ok(_) => fail("the client answered with something else"),
    }
}

fn required_text(name: &str, description: &str) -> Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string", "description": description } },
        "required": [name],
    })
}

fn contact() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": { "type": "boolean", "default": true },
        },
    })
}

fn choices() -> Value {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = |noun: &str| {
        json!([
            { "const": "value1", "title": format!("First {noun}") },
            { "const": "value2", "title": format!("Second {noun}") },
            { "const": "value3", "title": format!("Third {noun}") },
        ])
    };
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {
                "type": "array",
                "items": { "type": "string", "enum": plain },
            },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
    })
}
