//! A connection with what the pool knows about it. Boxed, so that lending and
//! returning move one pointer whatever the connection's size.

use crate::cap::Permit;

#[derive(Debug)]
pub(crate) struct Slot<C> {
    pub(crate) connection: C,
    pub(crate) meta: Meta,
    /// Its place under the cap of a set.
    pub(crate) permit: Option<Permit>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// Never given twice by one pool.
    pub(crate) id: u64,
    /// Its place in the table of what is lent.
    pub(crate) index: usize,
    /// How often it was lent.
    pub(crate) uses: u64,
    pub(crate) created_ns: u64,
    /// When it is too old.
    pub(crate) expires_ns: u64,
    pub(crate) idle_since_ns: u64,
    /// When it last answered: a connect, or a check.
    pub(crate) checked_ns: u64,
    /// From then on it is not lent without a closer look.
    pub(crate) look_ns: u64,
    /// The last round of checks in which it had its turn.
    pub(crate) round: u64,
    /// The borrower does not want it lent again.
    pub(crate) retired: bool,
    /// It is being checked for a waiter.
    pub(crate) promised: bool,
}

impl Meta {
    pub(crate) fn new(id: u64, index: usize, created_ns: u64, expires_ns: u64) -> Self {
        Self {
            id,
            index,
            uses: 0,
            created_ns,
            expires_ns,
            idle_since_ns: created_ns,
            checked_ns: created_ns,
            look_ns: expires_ns,
            round: 0,
            retired: false,
            promised: false,
        }
    }

    /// It is idle from now on; it has to be looked at again in `check_after_ns`
    /// or when it is too old.
    pub(crate) fn rest(&mut self, now_ns: u64, check_after_ns: u64) {
        self.idle_since_ns = now_ns;
        self.look_ns = self.expires_ns.min(now_ns.saturating_add(check_after_ns));
    }

    /// It has just answered a check; it is idle for as long as before.
    pub(crate) fn confirm(&mut self, now_ns: u64, check_after_ns: u64) {
        self.checked_ns = now_ns;
        self.look_ns = self.expires_ns.min(now_ns.saturating_add(check_after_ns));
    }

    /// When it last showed that it was alive.
    pub(crate) fn seen_ns(&self) -> u64 {
        self.idle_since_ns.max(self.checked_ns)
    }
}
