//! Which tags belong to which operation.

use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// Names of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheTags(Vec<Cow<'static, str>>);

impl CacheTags {
    /// No tags.
    pub const NONE: Self = Self(Vec::new());

    /// The names, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<Cow<'static, str>>> FromIterator<T> for CacheTags {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Cow<'static, str>>, const N: usize> From<[T; N]> for CacheTags {
    fn from(names: [T; N]) -> Self {
        names.into_iter().collect()
    }
}

/// A table of operations and the tags that their results carry, or that they
/// invalidate.
///
/// ```
/// use mcp_cache::{CacheTags, OperationTags};
///
/// let mut table = OperationTags::default();
/// table.set("move_agent", ["agents", "regions"]);
/// assert_eq!(table.tag_operation("create_agent"), CacheTags::from(["agents", "swarm_status"]));
/// assert_eq!(table.tag_operation("move_agent").len(), 2);
/// assert!(table.tag_operation("unheard_of").is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationTags(BTreeMap<String, CacheTags>);

/// `create_agent` and `assign_task`.
impl Default for OperationTags {
    fn default() -> Self {
        let mut table = Self::empty();
        table.set("create_agent", ["agents", "swarm_status"]);
        table.set("assign_task", ["tasks", "agent_workload"]);
        table
    }
}

impl OperationTags {
    /// A table that knows no operation.
    #[must_use]
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets the tags of one operation.
    pub fn set(&mut self, operation: impl Into<String>, tags: impl Into<CacheTags>) {
        self.0.insert(operation.into(), tags.into());
    }

    /// The tags of an operation; none for one that is not in the table.
    #[must_use]
    pub fn tag_operation(&self, operation: &str) -> CacheTags {
        self.0.get(operation).cloned().unwrap_or_default()
    }
}

/// The tags of an operation by the table that is there from the start.
#[must_use]
pub fn tag_operation(operation: &str) -> CacheTags {
    match operation {
        "create_agent" => CacheTags::from(["agents", "swarm_status"]),
        "assign_task" => CacheTags::from(["tasks", "agent_workload"]),
        _ => CacheTags::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_function_agree() {
        let table = OperationTags::default();
        for operation in ["create_agent", "assign_task", "", "other"] {
            assert_eq!(table.tag_operation(operation), tag_operation(operation));
        }
        assert_eq!(tag_operation("other"), CacheTags::NONE);
    }

    #[test]
    fn a_table_is_read_from_a_file() {
        let text = r#"{"scale_swarm": ["swarm_status", "agents"], "ping": []}"#;
        let table: OperationTags = serde_json::from_str(text).expect("a table");
        let tags = table.tag_operation("scale_swarm");
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["swarm_status", "agents"]);
        assert!(table.tag_operation("create_agent").is_empty());
        assert_eq!(
            serde_json::to_string(&table).expect("text"),
            r#"{"ping":[],"scale_swarm":["swarm_status","agents"]}"#
        );
    }
}
