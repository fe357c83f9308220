//! The operations on memories and their results, in the form they have on the wire.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hit, Memory, MemoryError, MemoryId, search::Basis};
use crate::written::Form;

/// Store a new memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The text to remember; must not be empty.
    #[schemars(length(min = 1))]
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
    #[schemars(range(min = 1))]
    pub ttl_seconds: Option<u64>,
    /// The new memory's id, where it must be known before the memory is stored; no caller sets it.
    /// Adding with the same id again changes nothing and has the same answer.
    #[serde(skip)]
    pub id: Option<MemoryId>,
}

/// Find memories by their words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Words to look for; memories with more and rarer of them rank higher.
    #[schemars(length(min = 1))]
    pub query: String,
    /// Search only this namespace; all of the caller's namespaces when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only memories that carry every one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The most memories to return; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
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
#[serde(
    tag = "type",
    content = "data",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum Operation {
    /// Store a new memory.
    Add(Add),
    /// Find memories by their words.
    Search(Search),
    /// Read one memory.
    Get(Get),
    /// Change parts of a memory.
    Update(Update),
    /// Delete one memory.
    Delete(Delete),
}

impl Operation {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Search(_) | Self::Get(_))
    }
}

/// The receipt of an added memory.
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

/// The matches of a search, best first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The matching memories.
    pub memories: Vec<Hit>,
    /// True when more memories matched within the limit than fit into one answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// What the answer rests on, for a cache that keeps it; stays inside of the server.
    #[serde(skip)]
    pub basis: Option<Arc<Basis>>,
    /// Where the written form of this answer is kept; stays inside of the server.
    #[serde(skip)]
    pub form: Arc<Form>,
}

impl Found {
    /// The most bytes that its written form is kept with.
    #[must_use]
    pub fn form_bytes_max(&self) -> usize {
        let memories = self.memories.iter();
        memories.map(|hit| hit.memory.form_bytes_max()).sum()
    }
}

/// The receipt of a changed memory.
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

/// The receipt of a deleted memory.
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
    /// The receipt of an `add`.
    Added(Added),
    /// The answer to a `search`.
    Found(Found),
    /// The answer to a `get`.
    Memory(Arc<Memory>),
    /// The receipt of an `update`.
    Updated(Updated),
    /// The receipt of a `delete`.
    Deleted(Deleted),
}

/// An outcome of the kind that the operation has.
macro_rules! kinds {
    ($($kind:ident => $what:ty),*) => {$(
        impl TryFrom<Outcome> for $what {
            type Error = MemoryError;

            fn try_from(outcome: Outcome) -> Result<Self, MemoryError> {
                match outcome {
                    Outcome::$kind(what) => Ok(what),
                    _ => Err(MemoryError::Internal {
                        reason: "an operation had the outcome of another".to_owned(),
                    }),
                }
            }
        }
    )*};
}

kinds!(Added => Added, Updated => Updated, Deleted => Deleted);
