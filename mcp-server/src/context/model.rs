//! The things themselves: contexts, what they are called, what kind they are of, what they hold.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::estimate;
use crate::memory::Owner;

/// The name of a context, chosen by the caller or generated. Generated ones are UUID version 7
/// (RFC 9562 §5.7), so that they sort by age.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ContextId(String);

impl ContextId {
    /// A new id, later than every earlier one of this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ContextId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What identifies a context among those of all owners.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextKey {
    /// Whose context it is.
    pub owner: Owner,
    /// Its name.
    pub id: ContextId,
}

/// The kind of a context. It narrows lists, and decides how long a copy in memory may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextClass {
    /// Rules and instructions: read often, changed rarely.
    Rules,
    /// The state of one session.
    Session,
    /// Figures made from other data.
    Analytics,
    /// The result of a task or a tool.
    Result,
    /// Anything else.
    #[default]
    Other,
}

impl ContextClass {
    /// Every class.
    pub const ALL: [Self; 5] = [
        Self::Rules,
        Self::Session,
        Self::Analytics,
        Self::Result,
        Self::Other,
    ];

    /// The name as on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Session => "session",
            Self::Analytics => "analytics",
            Self::Result => "result",
            Self::Other => "other",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// By hand: a description of each class would make it a choice of schemas, which some clients do
/// not take.
impl JsonSchema for ContextClass {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ContextClass".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": Self::ALL.map(Self::as_str)})
    }
}

/// What a JSON value takes by itself, and what a member of an object takes beside its value.
const VALUE_BYTES: usize = size_of::<Value>();
const MEMBER_BYTES: usize = size_of::<String>() + size_of::<usize>();

fn value_bytes(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(value_bytes).sum(),
            Value::Object(members) => members_bytes(members),
        }
}

fn members_bytes(members: &Map<String, Value>) -> usize {
    members
        .iter()
        .map(|(name, value)| MEMBER_BYTES + name.len() + value_bytes(value))
        .sum()
}

/// What a context holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// A JSON object.
    Object(Map<String, Value>),
}

impl Content {
    /// The text, or the object as JSON.
    #[must_use]
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Object(object) => json(object).into(),
        }
    }

    /// About how many bytes it takes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Object(members) => members_bytes(members),
        }
    }

    /// How many tokens a model needs for it, by [`estimate`].
    #[must_use]
    pub fn tokens(&self) -> u64 {
        estimate(&self.as_text())
    }
}

fn json(object: &Map<String, Value>) -> String {
    serde_json::to_string(object).expect("a JSON object is always JSON")
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// By hand: an untagged choice does not say what was wrong.
struct ContentVisitor;

impl<'de> de::Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a JSON object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
        let map = de::value::MapAccessDeserializer::new(map);
        Map::deserialize(map).map(Content::Object)
    }
}

impl JsonSchema for Content {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "object"}]})
    }
}

/// A stored context, as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Context {
    /// The context's id.
    pub id: ContextId,
    /// Its class.
    pub class: ContextClass,
    /// A text, or a JSON object.
    pub content: Content,
    /// Labels for filtering.
    pub tags: Vec<String>,
    /// About how many tokens the content takes.
    pub tokens: u64,
    /// 1 when first put, one more with each put.
    pub version: u64,
    /// When it was first put (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was last put (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// When it will disappear by itself (RFC 3339, UTC); absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

impl Context {
    /// Whether its time is over at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_a_text_or_an_object() {
        let check = |json: Value, expect: Result<Content, &str>| {
            let content = serde_json::from_value::<Content>(json.clone());
            let content = content.map_err(|error| error.to_string());
            assert_eq!(content, expect.map_err(str::to_owned), "{json}");
        };
        check(json!("a"), Ok(Content::Text("a".to_owned())));
        let object = json!({"a": [1, null], "b": {"c": 1.5}});
        let Value::Object(members) = object.clone() else {
            unreachable!("it is one");
        };
        check(object, Ok(Content::Object(members)));
        let wrong = "invalid type: integer `5`, expected a text or a JSON object";
        check(json!(5), Err(wrong));
        let wrong = "invalid type: sequence, expected a text or a JSON object";
        check(json!(["a"]), Err(wrong));
    }

    #[test]
    fn classes_have_one_name_everywhere() {
        for class in ContextClass::ALL {
            assert_eq!(ContextClass::parse(class.as_str()), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), json!(class.as_str()));
        }
        assert_eq!(ContextClass::parse("rule"), None);
    }
}
