//! State that all clones of the handler share.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleServer,
    model::{LoggingLevel, ProtocolVersion},
    service::RequestContext,
    task_manager::TaskManager,
};

use crate::{request_state::Seal, subscriptions::Hub};

/// How long list and read results may be cached. They never change, but a short
/// time lets a test see an entry expire.
pub(crate) const TTL_MS: u64 = 60_000;

/// What outlives a request.
pub(crate) struct Shared {
    pub(crate) subscriptions: Hub,
    pub(crate) tasks: TaskManager,
    pub(crate) seal: Seal,
    log_level: Mutex<LoggingLevel>,
}

impl Shared {
    /// The level from which messages are sent to clients with a session. One for
    /// the whole server: a fixture is talked to by one client at a time.
    pub(crate) fn log_level(&self) -> LoggingLevel {
        *lock(&self.log_level)
    }

    pub(crate) fn set_log_level(&self, level: LoggingLevel) {
        *lock(&self.log_level) = level;
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            subscriptions: Hub::default(),
            tasks: TaskManager::new(),
            seal: Seal::default(),
            log_level: Mutex::new(LoggingLevel::Debug),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Whether the request stands alone (2026-07-28 and newer) rather than in a
/// session opened by `initialize`.
pub(crate) fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    // Revisions are dates, which sort as text.
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Locks whatever a panicked holder left behind: each critical section is one
/// assignment or map operation, which cannot be left half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
