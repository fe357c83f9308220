//! How large a memory, a query or a batch may be, and the check that enforces it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Add, Get, Memory, MemoryError, MemoryId, Operation, Search, Update};

/// The longest id that is looked up, in bytes.
const ID_BYTES_MAX: usize = 128;

/// Bounds on what a caller may send. Every operation passes [`Limits::check`] before a store sees
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest text of a memory, in bytes of UTF-8. Default 1 MiB. Larger texts cost memory
    /// per call in flight and make every search that returns them slower.
    pub content_bytes_max: usize,
    /// The largest metadata object, in bytes of JSON. Default 64 KiB.
    pub metadata_bytes_max: usize,
    /// The most tags of one memory or one search. Default 64.
    pub tags_max: usize,
    /// The longest tag or namespace, in bytes of UTF-8. Default 128.
    pub name_bytes_max: usize,
    /// The longest search query, in bytes of UTF-8. Default 16 KiB.
    pub query_bytes_max: usize,
    /// The most memories one search may return. Default 100.
    pub results_max: u32,
    /// The memories a search returns when it names no limit. Default 10.
    pub results_default: u32,
    /// The most operations of one batch. Default 50.
    pub batch_len_max: usize,
    /// The longest time to live, in seconds. Default ten years.
    pub ttl_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            content_bytes_max: 1024 * 1024,
            metadata_bytes_max: 64 * 1024,
            tags_max: 64,
            name_bytes_max: 128,
            query_bytes_max: 16 * 1024,
            results_max: 100,
            results_default: 10,
            batch_len_max: 50,
            ttl_seconds_max: 10 * 365 * 24 * 3600,
        }
    }
}

impl Limits {
    /// Checks one operation against the limits.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`] with the argument's name, what is wrong and what would be right.
    pub fn check(&self, operation: &Operation) -> Result<(), MemoryError> {
        match operation {
            Operation::Add(add) => self.check_add(add),
            Operation::Search(search) => self.check_search(search),
            Operation::Get(Get { id }) => check_id(id),
            Operation::Update(update) => self.check_update(update),
            Operation::Delete(delete) => check_id(&delete.id),
        }
    }

    /// Checks the number of operations in a batch.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`] for an empty batch and for one above the limit.
    pub fn check_batch_len(&self, len: usize) -> Result<(), MemoryError> {
        let max = self.batch_len_max;
        match len {
            0 => Err(MemoryError::invalid("operations", "must not be empty")),
            len if len > max => Err(MemoryError::invalid(
                "operations",
                format!("{len} operations are more than the limit of {max}: split the batch"),
            )),
            _ => Ok(()),
        }
    }

    /// Checks a memory that comes from elsewhere as a whole.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`] with the field's name, what is wrong and what would be right.
    pub fn check_memory(&self, memory: &Memory) -> Result<(), MemoryError> {
        check_id(&memory.id)?;
        self.check_content(&memory.content)?;
        self.check_namespace(Some(&memory.namespace))?;
        self.check_tags(&memory.tags)?;
        self.check_metadata(&memory.metadata)?;
        match memory.version {
            0 => Err(MemoryError::invalid("version", "must be at least 1")),
            version if i64::try_from(version).is_err() => Err(MemoryError::invalid(
                "version",
                "is larger than any counter",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn check_add(&self, add: &Add) -> Result<(), MemoryError> {
        self.check_content(&add.content)?;
        self.check_namespace(add.namespace.as_deref())?;
        self.check_tags(&add.tags)?;
        self.check_metadata(&add.metadata)?;
        match add.ttl_seconds {
            Some(0) => Err(MemoryError::invalid(
                "ttl_seconds",
                "must be at least 1; leave it out to keep the memory for good",
            )),
            Some(ttl) if ttl > self.ttl_seconds_max => Err(MemoryError::invalid(
                "ttl_seconds",
                format!("{ttl} is more than the limit of {}", self.ttl_seconds_max),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn check_search(&self, search: &Search) -> Result<(), MemoryError> {
        if search.query.trim().is_empty() {
            return Err(MemoryError::invalid("query", "must not be empty"));
        }
        check_bytes("query", search.query.len(), self.query_bytes_max)?;
        self.check_namespace(search.namespace.as_deref())?;
        self.check_tags(&search.tags)?;
        match search.limit {
            Some(limit) if limit == 0 || limit > self.results_max => Err(MemoryError::invalid(
                "limit",
                format!("must be from 1 to {}, not {limit}", self.results_max),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn check_update(&self, update: &Update) -> Result<(), MemoryError> {
        check_id(&update.id)?;
        if update.content.is_none() && update.tags.is_none() && update.metadata.is_none() {
            return Err(MemoryError::invalid(
                "content",
                "nothing to change: give at least one of content, tags and metadata",
            ));
        }
        if let Some(content) = &update.content {
            self.check_content(content)?;
        }
        if let Some(tags) = &update.tags {
            self.check_tags(tags)?;
        }
        if let Some(metadata) = &update.metadata {
            self.check_metadata(metadata)?;
        }
        Ok(())
    }

    fn check_content(&self, content: &str) -> Result<(), MemoryError> {
        if content.trim().is_empty() {
            return Err(MemoryError::invalid("content", "must not be empty"));
        }
        check_bytes("content", content.len(), self.content_bytes_max)
    }

    fn check_namespace(&self, namespace: Option<&str>) -> Result<(), MemoryError> {
        namespace.map_or(Ok(()), |name| self.check_name("namespace", name))
    }

    fn check_tags(&self, tags: &[String]) -> Result<(), MemoryError> {
        if tags.len() > self.tags_max {
            return Err(MemoryError::invalid(
                "tags",
                format!(
                    "{} tags are more than the limit of {}",
                    tags.len(),
                    self.tags_max
                ),
            ));
        }
        tags.iter().try_for_each(|tag| self.check_name("tags", tag))
    }

    fn check_metadata(&self, metadata: &Map<String, Value>) -> Result<(), MemoryError> {
        let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
        check_bytes("metadata", bytes, self.metadata_bytes_max)
    }

    fn check_name(&self, field: &'static str, name: &str) -> Result<(), MemoryError> {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(MemoryError::invalid(
                field,
                "must not be blank nor contain control characters",
            ));
        }
        check_bytes(field, name.len(), self.name_bytes_max)
    }
}

pub(super) fn check_id(id: &MemoryId) -> Result<(), MemoryError> {
    if id.as_str().is_empty() {
        return Err(MemoryError::invalid("id", "must not be empty"));
    }
    check_bytes("id", id.as_str().len(), ID_BYTES_MAX)
}

fn check_bytes(field: &'static str, bytes: usize, max: usize) -> Result<(), MemoryError> {
    if bytes > max {
        return Err(MemoryError::invalid(
            field,
            format!("{bytes} bytes are more than the limit of {max} bytes"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(operation: &Value, expect: Option<&str>) {
        let limits = Limits {
            content_bytes_max: 10,
            metadata_bytes_max: 20,
            tags_max: 2,
            name_bytes_max: 4,
            query_bytes_max: 10,
            results_max: 5,
            ..Limits::default()
        };
        let parsed: Operation = serde_json::from_value(operation.clone()).unwrap();
        let field = match limits.check(&parsed) {
            Ok(()) => None,
            Err(MemoryError::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{operation}: {other}"),
        };
        assert_eq!(field, expect, "{operation}");
    }

    #[test]
    fn each_limit_names_its_field() {
        let long = "x".repeat(11);
        let add = |data: Value| json!({"type": "add", "data": data});
        check(&add(json!({"content": "ten bytes!"})), None);
        check(&add(json!({"content": ""})), Some("content"));
        check(&add(json!({"content": " \n\t"})), Some("content"));
        check(&add(json!({"content": long})), Some("content"));
        check(
            &add(json!({"content": "a", "namespace": ""})),
            Some("namespace"),
        );
        check(
            &add(json!({"content": "a", "namespace": "abcde"})),
            Some("namespace"),
        );
        check(
            &add(json!({"content": "a", "namespace": "a\u{0}"})),
            Some("namespace"),
        );
        check(&add(json!({"content": "a", "tags": ["a", "b"]})), None);
        check(
            &add(json!({"content": "a", "tags": ["a", "b", "c"]})),
            Some("tags"),
        );
        check(&add(json!({"content": "a", "tags": [""]})), Some("tags"));
        check(&add(json!({"content": "a", "metadata": {"k": long}})), None);
        check(
            &add(json!({"content": "a", "metadata": {"key": format!("{long}{long}")}})),
            Some("metadata"),
        );
        check(
            &add(json!({"content": "a", "ttl_seconds": 0})),
            Some("ttl_seconds"),
        );
        check(
            &add(json!({"content": "a", "ttl_seconds": u64::MAX})),
            Some("ttl_seconds"),
        );
        let search = |data: Value| json!({"type": "search", "data": data});
        check(&search(json!({"query": "a", "limit": 5})), None);
        check(&search(json!({"query": " "})), Some("query"));
        check(&search(json!({"query": long})), Some("query"));
        check(&search(json!({"query": "a", "limit": 0})), Some("limit"));
        check(&search(json!({"query": "a", "limit": 6})), Some("limit"));
        check(&json!({"type": "get", "data": {"id": ""}}), Some("id"));
        check(
            &json!({"type": "delete", "data": {"id": "x".repeat(129)}}),
            Some("id"),
        );
        check(
            &json!({"type": "update", "data": {"id": "a"}}),
            Some("content"),
        );
        check(
            &json!({"type": "update", "data": {"id": "a", "tags": []}}),
            None,
        );
        check(
            &json!({"type": "update", "data": {"id": "a", "content": ""}}),
            Some("content"),
        );
    }

    #[test]
    fn a_batch_has_one_to_fifty_operations() {
        let limits = Limits::default();
        for (len, fits) in [(0, false), (1, true), (50, true), (51, false)] {
            assert_eq!(limits.check_batch_len(len).is_ok(), fits, "{len}");
        }
    }
}
