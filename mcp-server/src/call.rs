//! One call on its way through the server.

use std::fmt;

use serde::Serialize;
use tokio::time::Instant;

use crate::memory::Owner;

/// What every part on a call's way may need to know of it, beside what is asked for.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose data the call works on.
    pub owner: Owner,
    /// The kind of client that calls.
    pub lane: Lane,
    /// When nobody waits for the answer any more; `None`: never. Work that goes on beyond it is in
    /// vain, so a store ends it.
    pub deadline: Option<Instant>,
}

impl Call {
    /// A call on the data of `owner`, by a client of no special kind.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            lane: Lane::Other,
            deadline: None,
        }
    }

    /// A call on the data of the one owner that there is without authentication.
    #[must_use]
    pub fn local() -> Self {
        Self::new(Owner::local())
    }
}

/// A kind of client. Each has its share of the server, so that none can slow the others down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
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
