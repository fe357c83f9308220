//! Events pushed to whoever keeps histograms and logs.

use crate::CloseReason;
use std::time::Duration;

/// Hears what a pool does, at the moment it does it. Every method is empty by
/// default.
///
/// The methods run without any lock held, on the path of a caller or of the
/// pool's tasks, and must not block or panic. No method is called for a
/// checkout: [`stats`](crate::Pool::stats) counts those.
pub trait Observer: Send + Sync + 'static {
    /// A connection was made in so long.
    fn on_opened(&self, took: Duration) {
        let _ = took;
    }

    /// A connect failed; the text is the cause's.
    fn on_connect_failed(&self, cause: &str) {
        let _ = cause;
    }

    /// A connection is closed that was lent so often.
    fn on_closed(&self, reason: CloseReason, uses: u64) {
        let _ = (reason, uses);
    }

    /// A caller's time was up before it had a connection.
    fn on_timeout(&self, limit: Duration) {
        let _ = limit;
    }

    /// A connection was lent for this long and is still out: a leak, maybe.
    fn on_lent_long(&self, lent: Duration) {
        let _ = lent;
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence;

impl Observer for Silence {}
