//! The operations on contexts and their results, in the form they have on the wire; and what a
//! store answers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Content, Context, ContextClass, ContextId, ContextKey};

/// Store a context, in place of the one of that id.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Its name; what has that name already is replaced. A new one is made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ContextId>,
    /// Its class; `other` when absent.
    #[serde(default)]
    pub class: ContextClass,
    /// A text, or a JSON object; must not be empty.
    pub content: Content,
    /// Labels for filtering lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The version this is based on: the put is refused when the context has moved on. 0: there
    /// must be none of that id yet. Absent: whatever is there is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Seconds after which the context disappears by itself; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub ttl_seconds: Option<u64>,
}

/// Read one context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The context's id.
    pub id: ContextId,
}

/// List contexts, as many as fit into a budget of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only contexts of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ContextClass>,
    /// Only contexts that carry every one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only contexts with any of these words, the most relevant first; all, the newest first, when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// About how many tokens the contents may take together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub budget_tokens: Option<u64>,
}

/// The receipt of a stored context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContextReceipt {
    /// The context's id.
    pub id: ContextId,
    /// Its version now: 1 if there was none of that id.
    pub version: u64,
    /// About how many tokens the content takes.
    pub tokens: u64,
    /// When it was stored (RFC 3339, UTC).
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// When it will disappear by itself (RFC 3339, UTC); absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

impl From<&Context> for ContextReceipt {
    fn from(context: &Context) -> Self {
        Self {
            id: context.id.clone(),
            version: context.version,
            tokens: context.tokens,
            updated_at: context.updated_at,
            expires_at: context.expires_at,
        }
    }
}

/// The contexts that fit, and what did not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The contexts, the newest or the most relevant first.
    pub contexts: Vec<Context>,
    /// About how many tokens their contents take together.
    pub tokens: u64,
    /// What was asked for and did not fit.
    pub left_out: LeftOut,
}

/// What a list has no room for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// How many contexts.
    pub count: u64,
    /// About how many tokens they would take.
    pub tokens: u64,
    /// The first of them, to be read one by one.
    pub contexts: Vec<LeftOutContext>,
    /// True when there are older contexts that were not even looked at: narrow the list by class or
    /// tags to reach them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub older: bool,
}

/// A context that a list has no room for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutContext {
    /// The context's id.
    pub id: ContextId,
    /// About how many tokens its content takes.
    pub tokens: u64,
}

/// A context as it is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The context.
    pub context: Context,
    /// A number that no other put has, and that every later put of any context exceeds.
    pub revision: u64,
}

/// Which contexts were put after a revision, whoever put them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContextChanges {
    /// Each with its revision. Only what was put: what has expired says so itself.
    pub puts: Vec<(ContextKey, u64)>,
    /// Whether these are all changes. Otherwise anything may have changed.
    pub complete: bool,
    /// The revision that they reach up to.
    pub revision: u64,
}
