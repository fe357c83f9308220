//! The file of the reference memory server: a graph of entities and relations, one per JSON line.
//! Each observation about an entity becomes a memory, and so does each relation.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::form::Draft;

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Line {
    #[serde(rename_all = "camelCase")]
    Entity {
        name: String,
        entity_type: String,
        #[serde(default)]
        observations: Vec<String>,
    },
    #[serde(rename_all = "camelCase")]
    Relation {
        from: String,
        to: String,
        relation_type: String,
    },
}

impl Line {
    pub(super) fn into_drafts(self) -> Vec<Draft> {
        match self {
            Self::Entity {
                name,
                entity_type,
                observations,
            } if observations.is_empty() => {
                let metadata =
                    json!({"kind": "entity", "entity": name, "entity_type": entity_type});
                let content = format!("{name} ({entity_type})");
                vec![draft(content, [entity_type, name], metadata)]
            }
            Self::Entity {
                name,
                entity_type,
                observations,
            } => {
                let one = |observation: String| {
                    let metadata = json!({
                        "kind": "observation", "entity": name, "entity_type": entity_type,
                    });
                    let content = format!("{name}: {observation}");
                    draft(content, [entity_type.clone(), name.clone()], metadata)
                };
                observations.into_iter().map(one).collect()
            }
            Self::Relation {
                from,
                to,
                relation_type,
            } => {
                let metadata = json!({
                    "kind": "relation", "from": from, "to": to, "relation_type": relation_type,
                });
                let content = format!("{from} {relation_type} {to}");
                vec![draft(content, [from, to], metadata)]
            }
        }
    }
}

fn draft(content: String, tags: [String; 2], metadata: Value) -> Draft {
    let metadata = match metadata {
        Value::Object(metadata) => metadata,
        _ => Map::new(),
    };
    let [first, second] = tags;
    let mut tags = vec![first];
    if tags[0] != second {
        tags.push(second);
    }
    Draft {
        content,
        tags,
        metadata,
        ..Draft::default()
    }
}
