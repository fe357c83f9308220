//! What the settings say about a tool's results.

use std::{collections::BTreeMap, time::Duration};

use rmcp::model::JsonObject;
use serde_json::Value;

use crate::upstream::{ConnectorName, ResultScope, ToolPolicy};

/// The policies of one connector's tools.
pub(super) struct Policies {
    /// What every kept result of the connector carries.
    all: String,
    /// What every call at work carries that others may join.
    joined: String,
    tools: BTreeMap<String, ToolPolicy>,
}

/// On what terms a result is shared.
pub(super) struct Terms {
    /// How long it is kept; `None`: only those who ask at once get it.
    pub(super) ttl: Option<Duration>,
    /// Whether only its caller may see it.
    pub(super) caller_only: bool,
    /// What it is invalidated by.
    pub(super) tags: Vec<String>,
}

impl Policies {
    pub(super) fn new(connector: &ConnectorName, tools: &BTreeMap<String, ToolPolicy>) -> Self {
        Self {
            all: format!("connector:{connector}"),
            joined: format!("connector:{connector}:joined"),
            tools: tools.clone(),
        }
    }

    /// The tag of all that is kept of the connector.
    pub(super) fn all(&self) -> &str {
        &self.all
    }

    /// The terms of a call that is not kept: those who ask at once share it, each caller for itself.
    /// Whoever asks after a call that may have changed something has ended joins none from before.
    pub(super) fn sharing(&self) -> Terms {
        Terms {
            ttl: None,
            caller_only: true,
            tags: vec![self.all.clone(), self.joined.clone()],
        }
    }

    /// The terms of a call's result, if it may be kept. A tag whose argument is not there, or is no
    /// plain value, could not be invalidated: then nothing is kept.
    pub(super) fn terms(&self, tool: &str, arguments: &JsonObject) -> Option<Terms> {
        let policy = self.tools.get(tool)?;
        let ttl = policy.ttl?;
        let own = policy.tags.iter().map(|tag| self.filled(tag, arguments));
        let mut tags = own.collect::<Option<Vec<_>>>()?;
        tags.push(self.all.clone());
        Some(Terms {
            ttl: Some(ttl),
            caller_only: policy.scope == ResultScope::Caller,
            tags,
        })
    }

    /// The tags that a call invalidates. One whose argument is not there might mean any: then it is
    /// all that is kept of the connector. `reads`: whether the tool only reads.
    pub(super) fn invalidated(
        &self,
        tool: &str,
        arguments: &JsonObject,
        reads: bool,
    ) -> Vec<String> {
        let own = self.tools.get(tool).map(|policy| policy.invalidates.iter());
        let filled = own.into_iter().flatten().map(|tag| {
            let filled = self.filled(tag, arguments);
            filled.unwrap_or_else(|| self.all.clone())
        });
        let joined = (!reads).then(|| self.joined.clone());
        filled.chain(joined).collect()
    }

    /// The tag with the values of its arguments, and the connector's name before it, so that no two
    /// connectors share one.
    fn filled(&self, tag: &str, arguments: &JsonObject) -> Option<String> {
        let mut filled = format!("{}/", self.all);
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            filled.push_str(before);
            match arguments.get(name)? {
                Value::String(text) => filled.push_str(text),
                plain @ (Value::Number(_) | Value::Bool(_)) => filled.push_str(&plain.to_string()),
                _ => return None,
            }
            rest = behind;
        }
        filled.push_str(rest);
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::from_str;

    use super::*;

    fn policies() -> Policies {
        let yaml = "{get: {ttl: 1m, tags: ['repo:{owner}/{repo}', all]}, \
                     set: {invalidates: ['repo:{owner}/{repo}']}, \
                     list: {ttl: 5s, scope: everyone}}";
        let tools: BTreeMap<String, ToolPolicy> = serde_saphyr::from_str(yaml).unwrap();
        Policies::new(&"c".parse().unwrap(), &tools)
    }

    #[test]
    fn tags_hold_the_values_of_arguments() {
        let policies = policies();
        let tags = |arguments: &str| {
            let terms = policies.terms("get", &from_str(arguments).unwrap());
            terms.map(|terms| terms.tags)
        };
        assert_eq!(
            tags(r#"{"owner": "o", "repo": 7, "more": []}"#).unwrap(),
            ["connector:c/repo:o/7", "connector:c/all", "connector:c"]
        );
        for arguments in [
            "{}",
            r#"{"owner": "o"}"#,
            r#"{"owner": "o", "repo": ["x"]}"#,
        ] {
            assert_eq!(tags(arguments), None, "{arguments}");
        }
        let terms = policies.terms("list", &JsonObject::new()).unwrap();
        assert_eq!(
            (terms.caller_only, terms.ttl),
            (false, Some(Duration::from_secs(5)))
        );
        assert!(policies.terms("set", &JsonObject::new()).is_none());
        assert!(policies.terms("other", &JsonObject::new()).is_none());
    }

    #[test]
    fn what_cannot_be_told_invalidates_all() {
        let policies = policies();
        let invalidated =
            |tool, arguments| policies.invalidated(tool, &from_str(arguments).unwrap(), true);
        assert_eq!(
            invalidated("set", r#"{"owner": "o", "repo": "r"}"#),
            ["connector:c/repo:o/r"]
        );
        assert_eq!(invalidated("set", "{}"), ["connector:c"]);
        assert_eq!(invalidated("get", "{}"), [] as [&str; 0]);
        let changing = policies.invalidated("other", &JsonObject::new(), false);
        assert_eq!(changing, ["connector:c:joined"]);
    }
}
