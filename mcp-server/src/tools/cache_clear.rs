//! `cache_clear`: has caches forget what they hold.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Tool, ToolError};
use crate::{
    auth::Scope,
    call::Call,
    memory::Owner,
    monitoring::Tier,
    ports::{CacheControl, Clear},
};

/// Has caches forget what they hold. Nothing is lost: it is read again.
pub struct CacheClear {
    caches: Vec<Arc<dyn CacheControl>>,
}

impl std::fmt::Debug for CacheClear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.caches.iter().map(|cache| cache.name());
        f.debug_list().entries(names).finish()
    }
}

impl CacheClear {
    /// The tool for `caches`.
    #[must_use]
    pub fn new(caches: Vec<Arc<dyn CacheControl>>) -> Self {
        Self { caches }
    }
}

/// What is to be forgotten: one of `key`, `tag`, `pattern`, `namespace` and `all`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct What {
    /// Only this cache: `memory`, `contexts` or `connector_results`. All of them by default.
    pub cache: Option<String>,
    /// Whose memories and contexts `key` and `namespace` are about; the caller's by default.
    pub user_id: Option<String>,
    /// The id of a memory or of a context, or the whole key of a connector's result.
    pub key: Option<String>,
    /// All that carries this tag.
    pub tag: Option<String>,
    /// All keys that match: `*` is any text, `?` one character, `\` takes the next one as it is.
    pub pattern: Option<String>,
    /// All searches in this namespace of memories.
    pub namespace: Option<String>,
    /// Everything.
    pub all: bool,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleared {
    /// The caches that were told; others have no such thing.
    pub caches: Vec<&'static str>,
}

impl What {
    fn clear(&self, call: &Call) -> Result<Clear, ToolError> {
        let owner = match &self.user_id {
            Some(user_id) => Owner::new(user_id),
            None => call.owner.clone(),
        };
        let chosen = [
            self.key.clone().map(|key| Clear::Key {
                owner: owner.clone(),
                key,
            }),
            self.tag.clone().map(Clear::Tag),
            self.pattern.clone().map(Clear::Pattern),
            self.namespace
                .clone()
                .map(|namespace| Clear::Namespace { owner, namespace }),
            self.all.then_some(Clear::All),
        ];
        let mut chosen = chosen.into_iter().flatten();
        match (chosen.next(), chosen.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(ToolError::Arguments {
                reason: "give exactly one of `key`, `tag`, `pattern`, `namespace` and `all: true`"
                    .to_owned(),
            }),
        }
    }
}

impl Tool for CacheClear {
    type Arguments = What;
    type Output = Cleared;

    const NAME: &'static str = "cache_clear";
    const TITLE: &'static str = "Clear caches";
    const DESCRIPTION: &'static str = "Have caches forget a key, a tag, a pattern of keys, a namespace or everything; it is read again when it is asked for. For whoever looks after the server.";
    const EFFECT: Effect = Effect::ChangesOnce;
    const TIER: Tier = Tier::Fast;
    const SCOPE: Option<Scope> = Some(Scope::Admin);

    async fn call(&self, call: &Call, arguments: What) -> Result<Cleared, ToolError> {
        let clear = arguments.clear(call)?;
        let wanted = |cache: &&Arc<dyn CacheControl>| {
            let named = arguments.cache.as_deref();
            named.is_none_or(|name| cache.name() == name)
        };
        let chosen: Vec<_> = self.caches.iter().filter(wanted).collect();
        if chosen.is_empty() {
            let names: Vec<_> = self.caches.iter().map(|cache| cache.name()).collect();
            return Err(ToolError::Arguments {
                reason: format!("there is no such cache; there are: {}", names.join(", ")),
            });
        }
        let told = chosen.into_iter().filter(|cache| cache.clear(&clear));
        let caches: Vec<_> = told.map(|cache| cache.name()).collect();
        tracing::warn!(by = call.owner.as_str(), what = %clear, ?caches, "caches cleared");
        Ok(Cleared { caches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_thing_is_chosen() {
        let call = Call::local();
        let check = |json: &str, expect: Option<&str>| {
            let what: What = serde_json::from_str(json).unwrap();
            let clear = what.clear(&call).ok().map(|clear| clear.to_string());
            assert_eq!(clear.as_deref(), expect, "{json}");
        };
        check("{}", None);
        check(r#"{"all": false}"#, None);
        check(r#"{"key": "a", "tag": "b"}"#, None);
        check(r#"{"key": "a", "all": true}"#, None);
        check(r#"{"all": true}"#, Some("everything"));
        check(r#"{"tag": "b"}"#, Some("the tag `b`"));
        check(r#"{"pattern": "m/*"}"#, Some("the pattern `m/*`"));
        check(r#"{"key": "a"}"#, Some("the key `a` of local"));
        check(
            r#"{"namespace": "n", "user_id": "ann"}"#,
            Some("the namespace `n` of ann"),
        );
    }
}
