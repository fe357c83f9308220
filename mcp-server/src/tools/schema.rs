//! Schemas as clients take them.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// The JSON Schema (2020-12, the protocol's default dialect) of `T`.
///
/// Made for the validators that clients really use: no `$schema` and no `$ref`, which old ones do
/// not resolve; no `format` of numbers, which they warn of; no `null` beside a type, which some
/// refuse. An absent member is left out, not null.
///
/// # Panics
///
/// If `T` is not a JSON object.
pub(super) fn of<T: JsonSchema>() -> Arc<JsonObject> {
    let schema = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(RecursiveTransform(simplify))
        .into_generator()
        .into_root_schema_for::<T>();
    let Value::Object(mut schema) = schema.to_value() else {
        panic!("`{}` has no schema of an object", T::schema_name());
    };
    assert_eq!(
        schema.get("type").and_then(Value::as_str),
        Some("object"),
        "`{}` is not a JSON object",
        T::schema_name()
    );
    // The type's name says nothing that the tool's own title does not say better.
    schema.remove("title");
    // Some clients take a schema without members for a broken one.
    schema
        .entry("properties")
        .or_insert_with(|| Value::Object(JsonObject::new()));
    Arc::new(schema)
}

fn simplify(schema: &mut Schema) {
    let numeric = |kind: &str| matches!(kind, "integer" | "number");
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(kinds)) = members.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            members.insert("type".to_owned(), kind);
        }
    }
    if members
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(numeric)
    {
        members.remove("format");
    }
}
