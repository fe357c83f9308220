//! One call on its way through the server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rmcp::model::{ClientCapabilities, InputResponses};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    auth::{Caller, Scope},
    memory::Owner,
};

/// What every part on a call's way may need to know of it, beside what is asked for.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose data the call works on.
    pub owner: Owner,
    /// What the caller may do.
    pub scope: Scope,
    /// The kind of client that calls.
    pub lane: Lane,
    /// The way in which the call came.
    pub via: Via,
    /// When nobody waits for the answer any more; `None`: never. Work that goes on beyond it is in
    /// vain, so a store ends it.
    pub deadline: Option<Instant>,
    /// Whether caches are to be passed by: neither asked nor filled.
    pub bypass_cache: bool,
    /// What the parts on the way note for the answer. Clones of a call share it.
    pub notes: Arc<Notes>,
    /// What an upstream may need to know of the client's request; `None`: nothing.
    pub exchange: Option<Arc<Exchange>>,
}

/// What an upstream may need to know of a request, beside the arguments.
#[derive(Debug, Default)]
pub struct Exchange {
    /// What the client can do, where it says so with each request.
    pub capabilities: Option<ClientCapabilities>,
    /// The client's answers to what the tool asked for.
    pub input_responses: Option<InputResponses>,
    /// What the tool wanted to be told again.
    pub request_state: Option<String>,
    /// Where news of the call's progress go, if the client wants them.
    pub progress: Option<mpsc::Sender<Progress>>,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What is done, in units of the tool's own.
    pub progress: f64,
    /// What there is to do, if that is known.
    pub total: Option<f64>,
    /// What is being done.
    pub message: Option<String>,
}

/// What the parts on a call's way say of how it was answered.
#[derive(Debug, Default)]
pub struct Notes {
    cached: AtomicBool,
    elsewhere_nanos: AtomicU64,
}

impl Notes {
    /// The answer was in a cache.
    pub fn set_cached(&self) {
        self.cached.store(true, Ordering::Relaxed);
    }

    /// Whether the answer was in a cache.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.cached.load(Ordering::Relaxed)
    }

    /// So much time was spent waiting for another server.
    pub fn add_elsewhere(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.elsewhere_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The time that was spent waiting for other servers.
    #[must_use]
    pub fn elsewhere(&self) -> Duration {
        Duration::from_nanos(self.elsewhere_nanos.load(Ordering::Relaxed))
    }
}

impl Call {
    /// A call on the data of `owner`, by a client of no special kind that may do everything.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            scope: Scope::Admin,
            lane: Lane::Other,
            via: Via::Tool,
            deadline: None,
            bypass_cache: false,
            notes: Arc::default(),
            exchange: None,
        }
    }

    /// A call in the name of `caller`, by a client of no special kind.
    #[must_use]
    pub fn by(caller: &Caller) -> Self {
        Self {
            scope: caller.scope,
            ..Self::new(caller.owner.clone())
        }
    }

    /// A call on the data of the one owner that there is without authentication.
    #[must_use]
    pub fn local() -> Self {
        Self::new(Owner::local())
    }
}

/// The way in which a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// `tools/call`.
    Tool,
    /// A method of its own, such as `memory/add`.
    Method,
}

impl Via {
    /// All ways, in the order of their [`index`](Self::index).
    pub const ALL: [Self; 2] = [Self::Tool, Self::Method];

    /// The place in a list with one entry per way.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Notes, when it is dropped, the time since it was made as spent waiting for another server.
#[derive(Debug)]
pub struct Elsewhere<'a> {
    notes: &'a Notes,
    began: Instant,
}

impl<'a> Elsewhere<'a> {
    /// From now on another server is at work.
    #[must_use]
    pub fn begin(notes: &'a Notes) -> Self {
        Self {
            notes,
            began: Instant::now(),
        }
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        self.notes.add_elsewhere(self.began.elapsed());
    }
}

/// A kind of client. Each has its share of the server, so that none can slow the others down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// Every other client.
    Other,
}

impl Lane {
    /// All lanes, in the order of their [`index`](Self::index).
    pub const ALL: [Self; 3] = [Self::Cursor, Self::Vscode, Self::Other];

    /// The lane of exactly this name: `cursor`, `vscode` or `other`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// The name in settings, paths and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Other => "other",
        }
    }

    /// The place in a list with one entry per lane.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
