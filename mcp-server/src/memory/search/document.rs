//! What an index is told about a memory.

/// A memory, as far as it matters for finding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whose it is.
    pub owner: String,
    /// The namespace it lives in.
    pub namespace: String,
    /// The text that it is found by.
    pub content: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// When it expires, in milliseconds since 1970; `None`: never.
    pub expires_at: Option<i64>,
}

/// The newest state of a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The memory's row in its store.
    pub row: i64,
    /// The memory; `None` when it is gone.
    pub document: Option<Document>,
}
