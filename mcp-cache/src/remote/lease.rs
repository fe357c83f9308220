//! Until when the first tier may be served.

use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use std::time::Duration;

/// The first tier is served until a moment that moves with every confirmation
/// that no invalidation of another process is missing. When it has passed, it is
/// emptied, and from then on holds only what is loaded later: so the lease begins
/// anew, and what is served is never older than one lease beyond what is known.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None`: nobody else invalidates.
    span_ms: Option<u64>,
    until_ms: AtomicU64,
    renewal: Mutex<()>,
}

impl Lease {
    pub(crate) fn new(span: Option<Duration>) -> Self {
        let to_ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let span_ms = span.map(to_ms);
        Self {
            span_ms,
            until_ms: AtomicU64::new(span_ms.map_or(u64::MAX, |_| 0)),
            renewal: Mutex::new(()),
        }
    }

    /// Whether others invalidate at all.
    pub(crate) fn is_shared(&self) -> bool {
        self.span_ms.is_some()
    }

    #[inline]
    pub(crate) fn holds(&self, now_ms: u64) -> bool {
        // Acquire: whoever sees the lease sees what was forgotten before it.
        now_ms < self.until_ms.load(Ordering::Acquire)
    }

    /// At `asked_ms`, or later, nothing was missing.
    pub(crate) fn confirm(&self, asked_ms: u64) {
        if let Some(span_ms) = self.span_ms {
            self.until_ms
                .fetch_max(asked_ms + span_ms, Ordering::Release);
        }
    }

    /// The lease has passed: forgets, and begins anew. One does it for all.
    #[cold]
    pub(crate) fn renew(&self, now_ms: u64, forget: impl FnOnce()) {
        let alone = lock(&self.renewal);
        if !self.holds(now_ms) {
            forget();
            self.confirm(now_ms);
        }
        drop(alone);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_lease_is_confirmed_or_begins_anew_with_nothing() {
        let lease = Lease::new(Some(Duration::from_secs(2)));
        let forgotten = Cell::new(0);
        let forget = || forgotten.set(forgotten.get() + 1);
        lease.confirm(1_000);
        lease.confirm(500);
        assert!(lease.holds(2_999) && !lease.holds(3_000));
        lease.renew(2_999, forget);
        assert_eq!(forgotten.get(), 0, "somebody else was first");
        lease.renew(3_000, forget);
        assert_eq!(forgotten.get(), 1);
        assert!(lease.holds(4_999) && !lease.holds(5_000));
        let alone = Lease::new(None);
        assert!(alone.holds(u64::MAX - 1) && !alone.is_shared());
    }
}
