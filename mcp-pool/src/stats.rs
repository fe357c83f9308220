//! Counters pulled as one snapshot.

use crate::histogram::WaitHistogram;
use serde::Serialize;

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for too long.
    Idle,
    /// It was too old.
    Expired,
    /// It was found closed, or its borrower said that it is broken.
    Broken,
    /// It did not pass a check.
    Unhealthy,
    /// More were idle or open than may be; it was the least recently used.
    Surplus,
    /// [`retain`](crate::Pool::retain) did not keep it.
    Dismissed,
    /// The pool closed.
    Closed,
}

/// Closed connections by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Closes {
    /// See [`CloseReason::Idle`].
    pub idle: u64,
    /// See [`CloseReason::Expired`].
    pub expired: u64,
    /// See [`CloseReason::Broken`].
    pub broken: u64,
    /// See [`CloseReason::Unhealthy`].
    pub unhealthy: u64,
    /// See [`CloseReason::Surplus`].
    pub surplus: u64,
    /// See [`CloseReason::Dismissed`].
    pub dismissed: u64,
    /// See [`CloseReason::Closed`].
    pub closed: u64,
}

impl Closes {
    pub(crate) fn add(&mut self, reason: CloseReason) {
        let count = match reason {
            CloseReason::Idle => &mut self.idle,
            CloseReason::Expired => &mut self.expired,
            CloseReason::Broken => &mut self.broken,
            CloseReason::Unhealthy => &mut self.unhealthy,
            CloseReason::Surplus => &mut self.surplus,
            CloseReason::Dismissed => &mut self.dismissed,
            CloseReason::Closed => &mut self.closed,
        };
        *count += 1;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.idle
            + self.expired
            + self.broken
            + self.unhealthy
            + self.surplus
            + self.dismissed
            + self.closed
    }
}

/// A pool's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The most connections at a time, whatever they do.
    pub max_connections: usize,
    /// Lent now.
    pub in_use: usize,
    /// Idle now.
    pub idle: usize,
    /// Being made now.
    pub opening: usize,
    /// Being checked now.
    pub checking: usize,
    /// Saying good-bye now.
    pub closing: usize,
    /// Callers that wait now.
    pub waiting: usize,
    /// Connections lent, since the start.
    pub checkouts: u64,
    /// Those of them that had been lent before.
    pub reused: u64,
    /// Checkouts that had to wait, by how long.
    pub waits: WaitHistogram,
    /// Callers whose time was up.
    pub timeouts: u64,
    /// Callers that went away while they waited.
    pub cancelled: u64,
    /// Callers refused because too many waited.
    pub overloaded: u64,
    /// Connections made.
    pub opened: u64,
    /// Connects that failed.
    pub connect_failures: u64,
    /// Checks that were passed.
    pub checks_passed: u64,
    /// Connections closed, by reason.
    pub closes: Closes,
    /// Connections taken out of the pool for good.
    pub detached: u64,
    /// Connections that were lent for longer than
    /// [`lent_warn`](crate::Config::lent_warn).
    pub lent_long: u64,
}

impl Stats {
    /// The share of checkouts that needed no new connection, in `[0, 1]`; 0
    /// before the first one.
    #[must_use]
    pub fn reuse_ratio(&self) -> f64 {
        if self.checkouts == 0 {
            return 0.0;
        }
        self.reused as f64 / self.checkouts as f64
    }

    /// The share of the pool that is lent now, in `[0, 1]`; above 1 for a
    /// moment after it was made smaller.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        self.in_use as f64 / self.max_connections as f64
    }
}

/// What is counted under the lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) checkouts: u64,
    pub(crate) first_uses: u64,
    pub(crate) returns: u64,
    pub(crate) timeouts: u64,
    pub(crate) cancelled: u64,
    pub(crate) overloaded: u64,
    pub(crate) opened: u64,
    pub(crate) connect_failures: u64,
    pub(crate) checks_passed: u64,
    pub(crate) closes: Closes,
    pub(crate) detached: u64,
    pub(crate) lent_long: u64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            checkouts: 0,
            first_uses: 0,
            returns: 0,
            timeouts: 0,
            cancelled: 0,
            overloaded: 0,
            opened: 0,
            connect_failures: 0,
            checks_passed: 0,
            closes: Closes::default(),
            detached: 0,
            lent_long: 0,
        }
    }
}
