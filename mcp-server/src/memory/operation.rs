//! The operations on memories and their results, in the form they have on the wire.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hit, Memory, MemoryId};

/// Store a new memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The text to remember; must not be empty.
    pub content: String,
    /// Where to keep it; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels for filtering searches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free-form JSON object kept with the text.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Seconds after which the memory disappears by itself; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// Find memories by their words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Words to look for; memories with more and rarer of them rank higher.
    pub query: String,
    /// Search only this namespace; all of the caller's namespaces when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only memories that carry every one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The most memories to return; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Read one memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The memory's id.
    pub id: MemoryId,
}

/// Change parts of a memory; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The memory's id.
    pub id: MemoryId,
    /// The new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The new labels, in place of all old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The new metadata, in place of the old object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The version this change is based on; the update is refused when the memory has moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Delete one memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The memory's id.
    pub id: MemoryId,
}

/// One operation of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Operation {
    /// See [`Add`].
    Add(Add),
    /// See [`Search`].
    Search(Search),
    /// See [`Get`].
    Get(Get),
    /// See [`Update`].
    Update(Update),
    /// See [`Delete`].
    Delete(Delete),
}

/// The receipt of an [`Add`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    /// The new memory's id.
    pub id: MemoryId,
    /// Always 1.
    pub version: u64,
    /// When it was stored (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// The answer to a [`Search`], best match first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The matching memories.
    pub memories: Vec<Hit>,
}

/// The receipt of an [`Update`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The memory's id.
    pub id: MemoryId,
    /// Its new version.
    pub version: u64,
    /// When it was changed (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

/// The receipt of a [`Delete`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The memory's id.
    pub id: MemoryId,
    /// Always true.
    pub deleted: bool,
}

/// The result of one operation of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// Of an [`Operation::Add`].
    Added(Added),
    /// Of an [`Operation::Search`].
    Found(Found),
    /// Of an [`Operation::Get`].
    Memory(Memory),
    /// Of an [`Operation::Update`].
    Updated(Updated),
    /// Of an [`Operation::Delete`].
    Deleted(Deleted),
}
