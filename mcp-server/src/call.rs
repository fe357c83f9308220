//! One call on its way through the server.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// Every other client.
    Other,
}
