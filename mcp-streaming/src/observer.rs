//! Events pushed to whoever keeps logs and alarms.

use crate::{EndReason, Scope};

/// Hears what happens to the streams of a budget, at the moment it happens.
/// Every method is empty by default.
///
/// The methods run on the path of a writer, a reader or the keeper, without any
/// lock held, and must not block. A panic is caught and logged.
pub trait Observer: Send + Sync {
    /// A limit's use crossed the high watermark; not told again before it was
    /// below the low one.
    fn on_high(&self, scope: Scope, used: u64, limit: u64) {
        let _ = (scope, used, limit);
    }

    /// A limit left no room for an event: its writer waits, or was refused. Told
    /// for each time, which under pressure is often.
    fn on_full(&self, scope: Scope, used: u64, limit: u64) {
        let _ = (scope, used, limit);
    }

    /// Histories and unused leases were given up for others.
    fn on_shed(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A stream ended. For [`EndReason::Stalled`] and
    /// [`EndReason::SlowConsumer`] its connection is best closed: its reader
    /// does not come to hear of the end.
    fn on_ended(&self, stream: u64, reason: EndReason) {
        let _ = (stream, reason);
    }

    /// A session ended.
    fn on_session_ended(&self, reason: EndReason) {
        let _ = reason;
    }
}
