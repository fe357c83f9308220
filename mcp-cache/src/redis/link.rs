//! One shared connection, made when it is needed and made again when it breaks.

use super::{connect::Connection, error};
use crate::RemoteError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How long after a failed attempt the next one waits.
const PAUSE: Duration = Duration::from_millis(100);
/// How long callers give up on a connection, with no answer in between, before it
/// is given up itself: its other end may be gone without a word.
const SILENCE_MS: u64 = 1_000;

/// A place for one connection.
pub(super) struct Link {
    state: watch::Sender<State>,
    pub(super) in_flight: AtomicUsize,
    origin: Instant,
    /// Since when calls are given up and none is answered, in milliseconds since
    /// the origin; 0 if the last one was answered.
    silent_since_ms: AtomicU64,
}

#[derive(Clone)]
enum State {
    Down {
        until: Option<Instant>,
        reason: String,
    },
    Connecting,
    /// And which of them it is.
    Up(Connection, u64),
}

/// One call's use of a connection.
pub(super) struct Use {
    link: Arc<Link>,
    pub(super) connection: Connection,
    number: u64,
    answered: bool,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Down {
                until: None,
                reason: String::new(),
            }),
            in_flight: AtomicUsize::new(0),
            origin: Instant::now(),
            silent_since_ms: AtomicU64::new(0),
        }
    }

    /// Says that whoever asks is to connect; at most one is told so.
    pub(super) fn claim(&self) -> bool {
        let due = |until: Option<Instant>| until.is_none_or(|until| Instant::now() >= until);
        if matches!(*self.state.borrow(), State::Up(..) | State::Connecting) {
            return false;
        }
        self.state.send_if_modified(|state| {
            let claimed = matches!(state, State::Down { until, .. } if due(*until));
            if claimed {
                *state = State::Connecting;
            }
            claimed
        })
    }

    pub(super) fn connected(&self, made: Result<Connection, RemoteError>, number: u64) {
        self.silent_since_ms.store(0, Ordering::Relaxed);
        self.state.send_replace(match made {
            Ok(connection) => State::Up(connection, number),
            Err(error) => State::Down {
                until: Some(Instant::now() + PAUSE),
                reason: error.to_string(),
            },
        });
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(..))
    }

    /// Waits while it is being connected.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Use, RemoteError> {
        let mut receiver = self.state.subscribe();
        let state = receiver
            .wait_for(|state| !matches!(state, State::Connecting))
            .await;
        let reason = match state.as_deref() {
            Ok(State::Up(connection, number)) => return Ok(Use::new(self, connection, *number)),
            Ok(State::Down { reason, .. }) => reason.clone(),
            // The sender lives as long as this.
            Ok(State::Connecting) | Err(_) => "it is being connected".to_owned(),
        };
        Err(RemoteError::Unreachable { reason })
    }

    /// Without waiting, if it is there.
    pub(super) fn used(self: &Arc<Self>) -> Option<Use> {
        match &*self.state.borrow() {
            State::Up(connection, number) => Some(Use::new(self, connection, *number)),
            State::Down { .. } | State::Connecting => None,
        }
    }

    /// A call was given up: whether that has gone on for too long.
    fn is_silent(&self) -> bool {
        let now_ms = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Of two that come at once the later moment may win, by a hair.
        match self.silent_since_ms.load(Ordering::Relaxed) {
            0 => {
                self.silent_since_ms.store(now_ms.max(1), Ordering::Relaxed);
                false
            }
            since_ms => now_ms.saturating_sub(since_ms) >= SILENCE_MS,
        }
    }

    /// Gives up whatever connection is there.
    pub(super) fn close(&self, reason: &str) {
        let up = match &*self.state.borrow() {
            State::Up(_, number) => Some(*number),
            State::Down { .. } | State::Connecting => None,
        };
        if let Some(number) = up {
            self.drop_connection(number, reason);
        }
    }

    /// Gives a connection up, unless another has its place.
    fn drop_connection(&self, number: u64, reason: &str) {
        self.state.send_if_modified(|state| {
            let same = matches!(state, State::Up(_, current) if *current == number);
            if same {
                *state = State::Down {
                    until: None,
                    reason: reason.to_owned(),
                };
            }
            same
        });
    }
}

impl Use {
    fn new(link: &Arc<Link>, connection: &Connection, number: u64) -> Self {
        link.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            link: Arc::clone(link),
            connection: connection.clone(),
            number,
            answered: false,
        }
    }

    /// An answer came; one that says that the connection is broken ends it.
    pub(super) fn done<T>(mut self, result: redis::RedisResult<T>) -> Result<T, RemoteError> {
        self.answered = true;
        self.link.silent_since_ms.store(0, Ordering::Relaxed);
        result.map_err(|failed| {
            if failed.is_io_error() || failed.is_unrecoverable_error() || is_replica(&failed) {
                self.link.drop_connection(self.number, &failed.to_string());
            }
            error(&failed)
        })
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.link.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.answered && self.link.is_silent() {
            self.link.drop_connection(self.number, "it does not answer");
        }
    }
}

/// A server that takes no writes is not the one that numbers invalidations.
pub(super) fn is_replica(failed: &redis::RedisError) -> bool {
    failed.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::ReadOnly)
}
