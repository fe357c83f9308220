//! `settings.md`: every setting of the server, by its schema.

use std::fmt::Write as _;

use mcp_server::config::Config;
use serde_json::Value;

use super::{cell, is_current};

const HEAD: &str = "\
# Settings of the server

Every setting, with its default and what changing it costs. This page is written by a test from the \
schema that `mcp-server config schema` prints, and the test fails when it is not current; \
[Tuning](tuning.md) says when to touch which.

A name like `http.listen` is the key `listen` in the section `http` of the YAML file, and the \
environment variable `MCP_SERVER__HTTP__LISTEN`. *Reloadable* settings change while the server runs. \
`NAME` stands for a name of one's own.
";

#[test]
fn every_setting_is_in_the_book() {
    let schema = Config::schema();
    let schema: Value = serde_json::to_value(schema).expect("a schema is JSON");
    let mut page = HEAD.to_owned();
    let sections = schema["properties"].as_object().expect("sections");
    for (name, section) in sections {
        let mut rows = String::new();
        walk(&schema, name, section, None, &mut rows);
        let about = section["description"].as_str().unwrap_or_default();
        let _ = write!(
            page,
            "\n## `{name}`\n\n{}\n\n| setting | default | |\n|---|---|---|\n{rows}",
            cell(about)
        );
    }
    is_current("settings.md", &page);
}

/// Adds a row for `setting`, or one for each of those that it holds.
fn walk(schema: &Value, name: &str, setting: &Value, default: Option<&Value>, rows: &mut String) {
    let default = default.or_else(|| setting.get("default"));
    let meant = resolved(schema, setting);
    if let Some(inner) = meant["properties"].as_object() {
        for (key, setting) in inner {
            let default = default.and_then(|default| default.get(key));
            walk(schema, &format!("{name}.{key}"), setting, default, rows);
        }
        return;
    }
    let description = ["description"].iter().find_map(|key| {
        let own = setting[*key].as_str();
        own.or_else(|| meant[*key].as_str())
    });
    let default = default.map_or_else(String::new, |default| format!("`{default}`"));
    let about = cell(description.unwrap_or_default());
    // Writing to a string cannot fail.
    let _ = writeln!(
        rows,
        "| `{name}` | {} | {about} |",
        default.replace('|', "\\|")
    );
    // Things of one kind under names of their own.
    let each = &meant["additionalProperties"];
    if each.is_object() && resolved(schema, each)["properties"].is_object() {
        walk(schema, &format!("{name}.NAME"), each, None, rows);
    }
}

/// What a reference refers to; of something that may be absent, what it is when it is there.
fn resolved<'a>(schema: &'a Value, setting: &'a Value) -> &'a Value {
    let mut options = setting["anyOf"].as_array().into_iter().flatten();
    let option = options.find(|option| option["type"] != "null");
    let setting = option.unwrap_or(setting);
    let Some(reference) = setting["$ref"].as_str() else {
        return setting;
    };
    let pointer = reference.strip_prefix('#').expect("within the schema");
    schema.pointer(pointer).expect("it refers to something")
}
