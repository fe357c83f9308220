//! The things themselves: owners, ids, memories and search hits.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::written::Form;

/// Who a memory belongs to. No operation of one owner sees another owner's rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The owner of everything while the server runs without authentication.
    #[must_use]
    pub fn local() -> Self {
        Self::new("local")
    }

    /// An owner by name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a memory. New ones are UUID version 7 (RFC 9562 §5.7), so that they sort by age.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct MemoryId(String);

impl MemoryId {
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

impl From<String> for MemoryId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stored memory, as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// The memory's id.
    pub id: MemoryId,
    /// The namespace it lives in.
    pub namespace: String,
    /// The text itself.
    pub content: String,
    /// Labels for filtering.
    pub tags: Vec<String>,
    /// Free-form data kept with the text.
    pub metadata: Map<String, Value>,
    /// 1 when added, one more with each update.
    pub version: u64,
    /// When it was added (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was last changed (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// When it will disappear by itself (RFC 3339, UTC); absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// Where its written form is kept; stays inside of the server.
    #[serde(skip)]
    pub form: Form,
}

impl Memory {
    /// The most bytes that its written form is kept with. Enough for almost every memory: the text
    /// twice, quoted, and what is around it.
    #[must_use]
    pub fn form_bytes_max(&self) -> usize {
        1024 + 3 * self.content.len()
    }
}

/// A memory that matched a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The memory.
    #[serde(flatten)]
    pub memory: Arc<Memory>,
    /// How well it matches (BM25; higher is better, comparable within one answer only).
    pub score: f64,
}
