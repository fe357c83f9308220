//! The roles that the server's rooms play for each other, as object-safe traits.
//!
//! A port is named by its role, never by who plays it: the composition root decides that.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use rmcp::model::{CallToolResponse, JsonObject};

use crate::{
    call::Call,
    context::{
        self, Context, ContextChanges, ContextError, ContextKey, ContextReceipt, Kept, List,
        Listed, Put,
    },
    memory::{
        Add, Added, Changes, Cursor, Delete, Deleted, Found, Get, Memory, MemoryError, Operation,
        Outcome, Owner, Page, Restored, Search, Update, Updated, Version, Write, Written,
    },
    monitoring::{DependencyKind, Parts, Rollup},
    upstream::{self, RemoteTool, Until, UpstreamError},
};

/// Keeps memories. Every method works on the rows of the call's owner and sees no others.
///
/// A write is durable when its method returns `Ok`. Every method is cancel safe: a dropped future
/// leaves the operation done as a whole or not at all.
#[async_trait]
pub trait MemoryStore: Send + Sync {
    /// Stores a new memory.
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError>;

    /// Finds memories by their words, best match first, at most `search.limit` of them and no
    /// more than fit into one answer.
    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError>;

    /// Reads one memory.
    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError>;

    /// Changes one memory, if its version is still the expected one.
    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError>;

    /// Deletes one memory.
    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError>;

    /// Runs operations in order; each sees the effects of those before it. One result per
    /// operation, in order. `Err` means that nothing of the batch was done.
    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError>;
}

/// A store that makes the writes of many callers durable in one step, which costs little more than
/// one of them.
#[async_trait]
pub trait GroupCommit: MemoryStore {
    /// Does all writes in order, each one as a whole or not at all, and makes them durable together.
    /// One result per write, in order: what one caller got wrong touches no other's write, and when
    /// the step itself fails, every write has its error.
    async fn commit(&self, writes: Vec<Write>) -> Vec<Written>;
}

/// Gives and takes whole memories, as they are: the way in and out for exports and imports.
///
/// Every method works on the rows of one owner, and is cancel safe as in [`MemoryStore`].
#[async_trait]
pub trait MemoryArchive: Send + Sync {
    /// The memories after `after`, oldest first, at most `len_max` and no more than fit into one
    /// answer, but at least one if there is one.
    async fn page(
        &self,
        owner: &Owner,
        namespace: Option<&str>,
        after: Option<Cursor>,
        len_max: usize,
    ) -> Result<Page, MemoryError>;

    /// Puts memories in with their ids, times and versions, all of them in one durable step. One
    /// result per memory, in order. Doing it again changes nothing.
    async fn restore(
        &self,
        owner: &Owner,
        memories: Vec<Memory>,
    ) -> Result<Vec<Restored>, MemoryError>;

    /// Everybody who owns a memory or a context.
    async fn owners(&self) -> Result<Vec<Owner>, MemoryError>;
}

/// Serves contexts: the part that decides what is kept in memory and what is read from a store.
/// Every method works on the contexts of the call's owner and sees no others.
///
/// A put is durable when its method returns `Ok`, and every later read sees it or a later one,
/// through whichever manager of whichever process. Every method is cancel safe: a dropped future
/// leaves the operation done as a whole or not at all.
#[async_trait]
pub trait ContextManager: Send + Sync {
    /// Stores a context in place of the one of that id, if its version is still the expected one.
    async fn put(&self, call: &Call, put: Put) -> Result<ContextReceipt, ContextError>;

    /// Reads one context.
    async fn get(&self, call: &Call, get: context::Get) -> Result<Arc<Context>, ContextError>;

    /// Lists contexts, as many as fit into `list.budget_tokens`.
    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError>;

    /// Ends what runs in the background, after which calls may still be answered.
    async fn close(&self);
}

/// Keeps contexts. Durability, owners and cancel safety are as in [`ContextManager`].
#[async_trait]
pub trait ContextStore: Send + Sync {
    /// As [`ContextManager::put`]; the answer is what is in the store now.
    async fn put(&self, call: &Call, put: Put) -> Result<Kept, ContextError>;

    /// Reads one context.
    async fn get(&self, call: &Call, get: context::Get) -> Result<Kept, ContextError>;

    /// Lists contexts, as many as fit into `list.budget_tokens`; none if that is absent.
    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError>;

    /// A mark that is another one whenever anything was stored since, whoever stored it; `None`
    /// where the store cannot tell. Does not block.
    fn mark(&self) -> Option<u64>;

    /// What was put after `revision`.
    async fn changes_after(&self, revision: u64) -> Result<ContextChanges, ContextError>;

    /// The `recent` contexts that were put last, and the `popular` ones that were read most often,
    /// each once.
    async fn hottest(&self, recent: u32, popular: u32) -> Result<Vec<ContextKey>, ContextError>;

    /// Adds to how often contexts were read.
    async fn count_reads(&self, reads: Vec<(ContextKey, u64)>) -> Result<(), ContextError>;
}

/// Gives and takes whole contexts, as they are: the way from one store into another.
///
/// Every method works on the contexts of one owner, and is cancel safe as in [`ContextManager`].
#[async_trait]
pub trait ContextArchive: Send + Sync {
    /// The contexts that were put after the revision `after`, oldest first, at most `len_max`.
    async fn context_page(
        &self,
        owner: &Owner,
        after: u64,
        len_max: usize,
    ) -> Result<Vec<Kept>, ContextError>;

    /// Puts contexts in with their ids, times and versions, all of them in one durable step. One
    /// result per context, in order. Doing it again changes nothing.
    async fn restore_contexts(
        &self,
        owner: &Owner,
        contexts: Vec<Context>,
    ) -> Result<Vec<Restored>, ContextError>;
}

/// Tells what is changed in a store, by whomever: every change of every process, in one order.
#[async_trait]
pub trait ChangeFeed: Send + Sync {
    /// The store's present state: it differs from every earlier one in between which a change was
    /// acknowledged. Cheap, and never waits. `None` where that cannot be told: then anything may
    /// have changed.
    fn version(&self) -> Option<Version>;

    /// What was changed after `after`, if that is no more than `len_max` changes; without `after`
    /// only how far the changes go.
    async fn changes(&self, after: Option<i64>, len_max: usize) -> Result<Changes, MemoryError>;
}

/// Hears of what tools change, so that whatever was derived from it can be dropped.
pub trait EventSink: Send + Sync {
    /// The tool has changed something, or may have.
    fn state_changed(&self, tool: &str);
}

/// Another MCP server behind this one.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// What it offers; `anew`: whatever is known of that already. Cancel safe.
    async fn tools(&self, anew: bool) -> Result<upstream::Listed, UpstreamError>;

    /// Calls one of its tools. When the future is dropped, the upstream is told that nobody waits.
    async fn call(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError>;

    /// How long it is left alone after failures; `None`: it may be asked now.
    fn pause(&self) -> Option<Until>;

    /// Somebody says that it may be worth asking again.
    fn asked(&self);

    /// Ends what runs for it; later calls fail.
    async fn close(&self);

    /// Adds what stands before it, which belongs to the connector `name`.
    fn observe(&self, _name: &str, _parts: &mut Parts) {}
}

/// A part that can tell whether it is fit to serve.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// The part's name in a readiness report.
    fn name(&self) -> &'static str;

    /// `Ok` when fit; otherwise one sentence on what is wrong.
    async fn check(&self) -> Result<(), String>;

    /// What kind of part it is.
    fn kind(&self) -> DependencyKind {
        DependencyKind::Other
    }

    /// Whether the server cannot do its work without it.
    fn is_essential(&self) -> bool {
        true
    }
}

/// What a cache is to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clear {
    /// Everything.
    All,
    /// What is kept under a key.
    Key {
        /// Whose it is, where keys have owners.
        owner: Owner,
        /// The key, as callers know it.
        key: String,
    },
    /// All that carries a tag.
    Tag(String),
    /// All keys that match a glob.
    Pattern(String),
    /// All that was asked in a namespace.
    Namespace {
        /// Whose namespace.
        owner: Owner,
        /// The namespace.
        namespace: String,
    },
}

impl fmt::Display for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Key { owner, key } => write!(f, "the key `{key}` of {}", owner.as_str()),
            Self::Tag(tag) => write!(f, "the tag `{tag}`"),
            Self::Pattern(pattern) => write!(f, "the pattern `{pattern}`"),
            Self::Namespace { owner, namespace } => {
                write!(f, "the namespace `{namespace}` of {}", owner.as_str())
            }
        }
    }
}

/// A cache in the hands of whoever looks after the server.
#[async_trait]
pub trait CacheControl: Send + Sync {
    /// The cache's name in reports.
    fn name(&self) -> &'static str;

    /// Forgets; `false` where it has nothing of that kind.
    fn clear(&self, what: &Clear) -> bool;

    /// Reads ahead what is likely to be asked for, and says how much that was; `None` where it
    /// cannot.
    async fn warm(&self) -> Result<Option<u64>, ContextError> {
        Ok(None)
    }
}

/// Keeps what was measured minute by minute. Every method blocks.
pub trait RollupStore: Send + Sync {
    /// Keeps a minute of this process. An error says in words why it was not kept.
    fn put(&self, rollup: &Rollup) -> Result<(), String>;

    /// The minutes from `minute` on, in the order of time; those of several processes together.
    fn since(&self, minute: i64) -> Result<Vec<Rollup>, String>;

    /// Forgets all minutes before `minute`.
    fn forget_before(&self, minute: i64) -> Result<(), String>;
}

/// Carries words to somebody outside.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Posts a JSON text. An error says in words why it was not taken. Cancel safe: it was posted or
    /// not.
    async fn post(&self, body: Vec<u8>) -> Result<(), String>;
}

/// A part that says how it does.
pub trait Observed: Send + Sync {
    /// Adds what it has counted and what it holds. Only reads counters: it is called for each status
    /// and each scrape.
    fn observe(&self, parts: &mut Parts);
}
