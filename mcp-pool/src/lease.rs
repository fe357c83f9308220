//! A connection on loan.

use crate::{manager::Manager, shared::Shared, slot::Slot};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

/// The pool that a lease belongs to. Borrowing it saves two writes to a count
/// that all callers share.
pub(crate) enum Owner<'a, M: Manager> {
    Borrowed(&'a Arc<Shared<M>>),
    Owned(Arc<Shared<M>>),
}

impl<M: Manager> Owner<'_, M> {
    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        match self {
            Self::Borrowed(shared) => shared,
            Self::Owned(shared) => shared,
        }
    }
}

/// A connection that is lent; dropping it gives the connection back.
///
/// A request that timed out does not make its connection useless, so nothing
/// is assumed when a lease is dropped. Who knows that the connection is broken,
/// or in the middle of an exchange, says so with [`retire`](Self::retire).
#[must_use = "dropping it gives the connection back"]
pub struct Lease<'a, M: Manager> {
    owner: Owner<'a, M>,
    /// `None` only while it is dropped or detached.
    slot: Option<Box<Slot<M::Connection>>>,
}

impl<'a, M: Manager> Lease<'a, M> {
    pub(crate) fn new(owner: Owner<'a, M>, slot: Box<Slot<M::Connection>>) -> Self {
        Self {
            owner,
            slot: Some(slot),
        }
    }

    fn slot(&self) -> &Slot<M::Connection> {
        self.slot.as_deref().expect("held until the lease ends")
    }

    fn slot_mut(&mut self) -> &mut Slot<M::Connection> {
        self.slot.as_deref_mut().expect("held until the lease ends")
    }

    /// The connection's number, never given twice by one pool.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.slot().meta.id
    }

    /// How often the connection was lent before.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        self.slot().meta.uses - 1
    }

    /// How long ago the connection was made.
    #[must_use]
    pub fn age(&self) -> Duration {
        let now_ns = self.owner.shared().now_ns();
        Duration::from_nanos(now_ns.saturating_sub(self.slot().meta.created_ns))
    }

    /// Closes the connection when the lease ends, rather than lend it again:
    /// it is broken, or its next borrower could see what this one left.
    pub fn retire(&mut self) {
        self.slot_mut().meta.retired = true;
    }

    /// Takes [`retire`](Self::retire) back: what was half-way is done.
    pub fn keep(&mut self) {
        self.slot_mut().meta.retired = false;
    }

    /// Takes the connection out of the pool for good; the pool may make
    /// another one for its place.
    #[must_use]
    pub fn detach(mut self) -> M::Connection {
        let slot = self.slot.take();
        #[expect(clippy::missing_panics_doc, reason = "it cannot")]
        let slot = slot.expect("held until the lease ends");
        let shared = self.owner.shared();
        let (todo, slot) = shared.core.lock().detach(slot, shared.now_ns());
        shared.act(todo);
        let Slot { connection, .. } = *slot;
        connection
    }
}

impl<M: Manager> Deref for Lease<'_, M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.slot().connection
    }
}

impl<M: Manager> DerefMut for Lease<'_, M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.slot_mut().connection
    }
}

impl<M: Manager> Drop for Lease<'_, M> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.owner.shared().give_back(slot);
        }
    }
}

impl<M: Manager> fmt::Debug for Lease<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.slot.as_ref().map(|slot| slot.meta.id))
            .finish_non_exhaustive()
    }
}
