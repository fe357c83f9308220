//! All sessions: opening them within the caps, finding them, ending them.

use super::{SessionConfig, SessionId, Shared, StreamingSession, routes::Routes};
use crate::{
    Budget, ConfigError, EndReason, EventId, ResumeError, Resumed,
    hub::random_u32,
    meter::Marks,
    sync::{Mutex, lock},
};
use serde::Serialize;
use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use thiserror::Error;

/// Why a session was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are as many as there may be, and all of them are in use.
    #[error("resource exhausted: {limit} sessions are in use")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// The owner has as many as it may have, and all of them are in use.
    #[error("resource exhausted: {limit} sessions of this owner are in use")]
    TooManyOfOwner {
        /// How many.
        limit: usize,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

impl OpenError {
    /// Whether it may go another time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::NoRandomness)
    }
}

/// The counters of all sessions at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionsStats {
    /// Sessions that are open.
    pub open: usize,
    /// Sessions that were opened since the start.
    pub opened: u64,
    /// Sessions that were not opened, because all places were in use.
    pub refused: u64,
    /// Sessions that were closed.
    pub closed: u64,
    /// Sessions that ended because they were not initialized, not used, or too
    /// old.
    pub expired: u64,
    /// Sessions that made room for newer ones.
    pub evicted: u64,
}

/// All sessions of one budget. Clones are handles of the same registry; when
/// the last one is dropped, the sessions are closed.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Registry>);

pub(crate) struct Registry {
    shared: Arc<Shared>,
    routes: Mutex<Routes<Arc<StreamingSession>>>,
    sessions_max: AtomicUsize,
    sessions_per_owner_max: AtomicUsize,
    opened: AtomicU64,
    refused: AtomicU64,
    closed: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
}

impl Sessions {
    /// A registry whose sessions share `budget`.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    pub fn new(budget: &Budget, config: &SessionConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let of_budget = &budget.0.config;
        let (high, low) = (of_budget.high_watermark, of_budget.low_watermark);
        Ok(Self(Arc::new_cyclic(|registry| Registry {
            shared: Arc::new(Shared {
                hub: Arc::clone(&budget.0),
                stream: Arc::new(config.stream),
                marks: Arc::new(Marks::new(config.bytes_max, high, low)),
                registry: Weak::clone(registry),
                config: config.clone(),
            }),
            routes: Mutex::new(Routes::new()),
            sessions_max: AtomicUsize::new(config.sessions_max),
            sessions_per_owner_max: AtomicUsize::new(config.sessions_per_owner_max),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        })))
    }

    /// Opens a session. Beyond a cap, the session that was not used for longest
    /// makes room: the owner's own beyond the owner's cap, anybody's beyond the
    /// cap in all. One that is in use does not.
    ///
    /// # Errors
    /// A cap is reached and nobody makes room.
    pub fn open(&self, owner: &str) -> Result<Arc<StreamingSession>, OpenError> {
        let opened = self.0.open(owner);
        let counter = match opened {
            Ok(_) => &self.0.opened,
            Err(_) => &self.0.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        opened
    }

    /// The session, if it is there and the owner's; it counts as used now.
    #[must_use]
    pub fn get(&self, owner: &str, id: &SessionId) -> Option<Arc<StreamingSession>> {
        let session = lock(&self.0.routes).get(owner, id).cloned()?;
        session.touch();
        Some(session)
    }

    /// A reader that goes on behind the event `last`, if the session is the
    /// owner's and the event is of the session.
    ///
    /// # Errors
    /// It is not, or it is gone. Another owner's session is an unknown one.
    pub fn resume(
        &self,
        owner: &str,
        id: &SessionId,
        last: &EventId,
    ) -> Result<Resumed, ResumeError> {
        let session = self.get(owner, id).ok_or(ResumeError::UnknownSession)?;
        session.resume(last)
    }

    /// Ends a session; whether it was there and the owner's.
    pub fn close(&self, owner: &str, id: &SessionId) -> bool {
        let session = lock(&self.0.routes).get(owner, id).cloned();
        session.inspect(|session| session.close()).is_some()
    }

    /// Ends all sessions. New ones may be opened.
    pub fn close_all(&self) {
        let sessions = lock(&self.0.routes).drain();
        for session in sessions {
            session.close();
        }
    }

    /// From now on these caps hold instead of those of the configuration. Sessions beyond them stay
    /// until they end; 0 lets none be opened.
    pub fn set_caps(&self, sessions_max: usize, sessions_per_owner_max: usize) {
        let caps = [
            (&self.0.sessions_max, sessions_max),
            (&self.0.sessions_per_owner_max, sessions_per_owner_max),
        ];
        for (cap, max) in caps {
            cap.store(max, Ordering::Relaxed);
        }
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> SessionsStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SessionsStats {
            open: lock(&self.0.routes).len(),
            opened: read(&self.0.opened),
            refused: read(&self.0.refused),
            closed: read(&self.0.closed),
            expired: read(&self.0.expired),
            evicted: read(&self.0.evicted),
        }
    }
}

impl Registry {
    /// A session has ended.
    pub(super) fn forget(&self, id: &SessionId, reason: EndReason) {
        let counter = match reason {
            EndReason::Evicted => &self.evicted,
            EndReason::Closed => &self.closed,
            _ => &self.expired,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        // The last handle goes without the lock.
        let session = lock(&self.routes).remove(id);
        drop(session);
    }

    fn open(&self, owner: &str) -> Result<Arc<StreamingSession>, OpenError> {
        let id = SessionId::random().ok_or(OpenError::NoRandomness)?;
        let number = random_u32().map_err(|_| OpenError::NoRandomness)?;
        let now_ms = self.shared.hub.now_ms();
        let mut routes = lock(&self.routes);
        let mut evicted = Vec::new();
        let places = self.make_place(&mut routes, owner, now_ms, &mut evicted);
        let session = places.map(|()| {
            let owner = routes.owner(owner);
            let session = StreamingSession::new(id, number, owner, &self.shared);
            routes.insert(id, Arc::clone(&session));
            session
        });
        drop(routes);
        for session in evicted {
            session.end_with(EndReason::Evicted);
        }
        session
    }

    /// Takes out who makes room. What was taken out ends in any case, and is
    /// taken out only if the new session gets in.
    fn make_place(
        &self,
        routes: &mut Routes<Arc<StreamingSession>>,
        owner: &str,
        now_ms: u64,
        evicted: &mut Vec<Arc<StreamingSession>>,
    ) -> Result<(), OpenError> {
        let may_go = |session: &Arc<StreamingSession>| !session.is_busy(now_ms);
        let limit = self.sessions_per_owner_max.load(Ordering::Relaxed);
        let max = self.sessions_max.load(Ordering::Relaxed);
        let victim = if routes.len_of(owner) >= limit {
            // One that was never initialized goes before any other.
            let rank = |session: &Arc<StreamingSession>| {
                let is_initialized = session.is_initialized.load(Ordering::Relaxed);
                let used_ms = session.used_ms.load(Ordering::Relaxed);
                may_go(session).then_some((is_initialized, used_ms))
            };
            let oldest = routes.oldest_of(owner, rank);
            Some(oldest.ok_or(OpenError::TooManyOfOwner { limit })?)
        } else if routes.len() >= max {
            let oldest = routes.oldest(may_go);
            Some(oldest.ok_or(OpenError::TooMany { limit: max })?)
        } else {
            None
        };
        evicted.extend(victim.and_then(|id| routes.remove(&id)));
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let sessions = lock(&self.routes).drain();
        for session in sessions {
            session.close();
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
