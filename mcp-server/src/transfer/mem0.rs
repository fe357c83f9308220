//! Records of OpenMemory and of mem0, which name the same things a little differently.

use std::collections::HashMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::form::Draft;

/// One memory of an OpenMemory export (`content`) or of a mem0 list (`memory`).
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    id: Option<String>,
    #[serde(alias = "memory", alias = "text")]
    content: Option<String>,
    metadata: Option<Map<String, Value>>,
    created_at: Option<String>,
    updated_at: Option<String>,
    #[serde(alias = "expiration_date")]
    expires_at: Option<String>,
    state: Option<String>,
    categories: Option<Vec<String>>,
    #[serde(default)]
    category_ids: Vec<String>,
    app: Option<String>,
    user_id: Option<String>,
    agent_id: Option<String>,
    run_id: Option<String>,
}

/// A whole document: mem0's `{results: […]}`, OpenMemory's `memories.json`, or a bare list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Document {
    List(Vec<Value>),
    Object {
        #[serde(alias = "results", alias = "items")]
        memories: Vec<Value>,
        #[serde(default)]
        categories: Vec<Category>,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Category {
    id: Option<String>,
    name: String,
}

/// The names of categories by their ids.
pub(super) type Categories = HashMap<String, String>;

impl Document {
    pub(super) fn into_parts(self) -> (Vec<Value>, Categories) {
        match self {
            Self::List(memories) => (memories, Categories::new()),
            Self::Object {
                memories,
                categories,
            } => {
                let named = |category: Category| Some((category.id?, category.name));
                (memories, categories.into_iter().filter_map(named).collect())
            }
        }
    }
}

impl Record {
    /// The memory it becomes; `None` for one that was deleted over there.
    pub(super) fn into_draft(self, names: &Categories) -> Result<Option<Draft>, String> {
        if self.state.as_deref() == Some("deleted") {
            return Ok(None);
        }
        let content = self.content.ok_or("has no text (`content` or `memory`)")?;
        let created_at = self.created_at.as_deref().map(time).transpose()?;
        let updated_at = self.updated_at.as_deref().map(time).transpose()?;
        let mut metadata = self.metadata.unwrap_or_default();
        let state = self.state.filter(|state| state != "active");
        let kept = [
            ("state", state),
            ("app", self.app),
            ("user_id", self.user_id),
            ("agent_id", self.agent_id),
            ("run_id", self.run_id),
        ];
        for (key, value) in kept {
            if let Some(value) = value {
                metadata.entry(key).or_insert(Value::String(value));
            }
        }
        let named = |id: &String| names.get(id).cloned();
        let by_id = self.category_ids.iter().filter_map(named);
        let tags = self.categories.into_iter().flatten().chain(by_id).collect();
        Ok(Some(Draft {
            id: self.id,
            content,
            tags,
            metadata,
            created_at,
            updated_at,
            expires_at: self.expires_at.as_deref().map(time).transpose()?,
        }))
    }
}

/// A time with its offset (RFC 3339), or one without, which is taken for UTC, or a bare date.
fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().or_else(|_| {
        let civil: DateTime = text
            .parse()
            .map_err(|_| format!("`{text}` is no time (RFC 3339)"))?;
        civil
            .to_zoned(TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_come_with_an_offset_or_without() {
        let check = |text, expect: Option<&str>| {
            let got = time(text).ok().map(|at| at.to_string());
            assert_eq!(got.as_deref(), expect, "{text}");
        };
        check("2025-03-01T10:00:00-07:00", Some("2025-03-01T17:00:00Z"));
        check(
            "2025-03-01T10:00:00.5+00:00",
            Some("2025-03-01T10:00:00.5Z"),
        );
        check("2025-03-01T10:00:00", Some("2025-03-01T10:00:00Z"));
        check("2025-03-01", Some("2025-03-01T00:00:00Z"));
        check("yesterday", None);
        check("", None);
    }
}
