//! One call on its way through the server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::memory::Owner;

/// What every part on a call's way may need to know of it, beside what is asked for.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose data the call works on.
    pub owner: Owner,
    /// The kind of client that calls.
    pub lane: Lane,
    /// Whether caches are to be passed by: neither asked nor filled.
    pub bypass_cache: bool,
    /// What the parts on the way note for the answer. Clones of a call share it.
    pub notes: Arc<Notes>,
}

/// What the parts on a call's way say of how it was answered.
#[derive(Debug, Default)]
pub struct Notes {
    cached: AtomicBool,
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
}

impl Call {
    /// A call on the data of `owner`, by a client of no special kind.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            lane: Lane::Other,
            bypass_cache: false,
            notes: Arc::default(),
        }
    }

    /// A call on the data of the one owner that there is without authentication.
    #[must_use]
    pub fn local() -> Self {
        Self::new(Owner::local())
    }
}

/// A kind of client. Each has its share of the server, so that none can slow the others down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// Every other client.
    Other,
}
