//! How large a context or a list may be, and the check that enforces it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Content, ContextError, ContextId, Get, List, Put};

/// Bounds on what a caller may send. Every operation is checked before a store sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextLimits {
    /// The longest content, in bytes of UTF-8 or of JSON. Default 256 KiB.
    pub content_bytes_max: usize,
    /// The most tags of one context or one list. Default 64.
    pub tags_max: usize,
    /// The longest id or tag, in bytes of UTF-8. Default 128.
    pub name_bytes_max: usize,
    /// The longest query of a list, in bytes of UTF-8. Default 16 KiB.
    pub query_bytes_max: usize,
    /// The tokens that a list packs when it names no budget. Default 8,000.
    pub budget_tokens_default: u64,
    /// The largest budget of a list, in tokens. Default 200,000. A token is four bytes at most, so
    /// this bounds an answer.
    pub budget_tokens_max: u64,
    /// The longest time to live, in seconds. Default ten years.
    pub ttl_seconds_max: u64,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self {
            content_bytes_max: 256 * 1024,
            tags_max: 64,
            name_bytes_max: 128,
            query_bytes_max: 16 * 1024,
            budget_tokens_default: 8_000,
            budget_tokens_max: 200_000,
            ttl_seconds_max: 10 * 365 * 24 * 3600,
        }
    }
}

impl ContextLimits {
    pub(super) fn check_put(&self, put: &Put) -> Result<(), ContextError> {
        match &put.id {
            Some(id) => self.check_id(id)?,
            None if put.version.is_some_and(|version| version > 0) => {
                return Err(ContextError::invalid("version", "needs an id beside it"));
            }
            None => {}
        }
        let empty = match &put.content {
            Content::Text(text) => text.trim().is_empty(),
            Content::Object(object) => object.is_empty(),
        };
        if empty {
            return Err(ContextError::invalid("content", "must not be empty"));
        }
        check_bytes(
            "content",
            put.content.as_text().len(),
            self.content_bytes_max,
        )?;
        self.check_tags(&put.tags)?;
        match put.ttl_seconds {
            Some(0) => Err(ContextError::invalid(
                "ttl_seconds",
                "must be at least 1; leave it out to keep the context for good",
            )),
            Some(ttl) if ttl > self.ttl_seconds_max => Err(ContextError::invalid(
                "ttl_seconds",
                format!("{ttl} is more than the limit of {}", self.ttl_seconds_max),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn check_get(&self, get: &Get) -> Result<(), ContextError> {
        self.check_id(&get.id)
    }

    pub(super) fn check_list(&self, list: &List) -> Result<(), ContextError> {
        self.check_tags(&list.tags)?;
        if let Some(query) = &list.query {
            if query.trim().is_empty() {
                return Err(ContextError::invalid(
                    "query",
                    "must not be empty; leave it out to list the newest first",
                ));
            }
            check_bytes("query", query.len(), self.query_bytes_max)?;
        }
        match list.budget_tokens {
            Some(budget) if budget == 0 || budget > self.budget_tokens_max => {
                Err(ContextError::invalid(
                    "budget_tokens",
                    format!("must be from 1 to {}, not {budget}", self.budget_tokens_max),
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_id(&self, id: &ContextId) -> Result<(), ContextError> {
        self.check_name("id", id.as_str())
    }

    fn check_tags(&self, tags: &[String]) -> Result<(), ContextError> {
        if tags.len() > self.tags_max {
            return Err(ContextError::invalid(
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

    fn check_name(&self, field: &'static str, name: &str) -> Result<(), ContextError> {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(ContextError::invalid(
                field,
                "must not be blank nor contain control characters",
            ));
        }
        check_bytes(field, name.len(), self.name_bytes_max)
    }
}

fn check_bytes(field: &'static str, bytes: usize, max: usize) -> Result<(), ContextError> {
    if bytes > max {
        return Err(ContextError::invalid(
            field,
            format!("{bytes} bytes are more than the limit of {max} bytes"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn limits() -> ContextLimits {
        ContextLimits {
            content_bytes_max: 10,
            tags_max: 2,
            name_bytes_max: 4,
            query_bytes_max: 10,
            budget_tokens_max: 50,
            ..ContextLimits::default()
        }
    }

    #[track_caller]
    fn same(result: Result<(), ContextError>, expect: Option<&str>) {
        let field = match result {
            Ok(()) => None,
            Err(ContextError::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(field, expect);
    }

    #[test]
    fn each_limit_of_a_put_names_its_field() {
        let check = |put: Value, expect| {
            let put: Put = serde_json::from_value(put).unwrap();
            same(limits().check_put(&put), expect);
        };
        check(json!({"content": "ten bytes!"}), None);
        check(json!({"content": "eleven byte"}), Some("content"));
        check(json!({"content": {"a": 1}}), None);
        check(json!({"content": {"a": 1, "b": 2}}), Some("content"));
        check(json!({"content": " "}), Some("content"));
        check(json!({"content": {}}), Some("content"));
        check(json!({"content": "a", "id": ""}), Some("id"));
        check(json!({"content": "a", "id": "a\u{0}"}), Some("id"));
        check(json!({"content": "a", "id": "abcde"}), Some("id"));
        check(json!({"content": "a", "version": 1}), Some("version"));
        check(json!({"content": "a", "version": 0}), None);
        check(json!({"content": "a", "id": "a", "version": 1}), None);
        check(
            json!({"content": "a", "tags": ["a", "b", "c"]}),
            Some("tags"),
        );
        check(json!({"content": "a", "tags": [" "]}), Some("tags"));
        check(
            json!({"content": "a", "ttl_seconds": 0}),
            Some("ttl_seconds"),
        );
        let for_ever = json!({"content": "a", "ttl_seconds": u64::MAX});
        check(for_ever, Some("ttl_seconds"));
    }

    #[test]
    fn each_limit_of_a_list_names_its_field() {
        let check = |list: Value, expect| {
            let list: List = serde_json::from_value(list).unwrap();
            same(limits().check_list(&list), expect);
        };
        check(json!({}), None);
        check(json!({"budget_tokens": 50, "class": "rules"}), None);
        check(json!({"budget_tokens": 51}), Some("budget_tokens"));
        check(json!({"budget_tokens": 0}), Some("budget_tokens"));
        check(json!({"query": " "}), Some("query"));
        check(json!({"query": "eleven byte"}), Some("query"));
        check(json!({"tags": ["abcde"]}), Some("tags"));
    }
}
