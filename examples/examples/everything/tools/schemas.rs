//! Tools whose input schema is what matters.

use serde_json::{Value, json};

use super::{Call, Outcome, Spec, at_once, fail, say};

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "json_schema_2020_12_tool",
        description: "Has a schema that uses much of JSON Schema 2020-12",
        schema: rich_schema,
        run: |call| {
            let name = call.text_argument("name").unwrap_or("nobody");
            at_once(say(format!("contact of {name} noted")))
        },
    },
    Spec {
        name: "test_custom_header",
        description: "Repeats an argument that HTTP clients also send as a header",
        schema: header_schema,
        run: |call| at_once(repeat(&call)),
    },
];

fn repeat(call: &Call) -> Outcome {
    match call.text_argument("value") {
        Some(value) => say(value),
        None => fail("value must be a string"),
    }
}

/// Keywords which a server that rewrites schemas would easily lose.
fn rich_schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": text, "city": text },
            },
        },
        "properties": {
            "name": text,
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": text,
            "email": text,
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

fn header_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "value": { "type": "string", "x-mcp-header": "Value" } },
        "required": ["value"],
    })
}
