//! One shared connection, made when it is needed and made again when it breaks.

use super::{connect::Connection, error};
use crate::RemoteError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How long after a failed attempt the next one waits.
const PAUSE: Duration = Duration::from_millis(100);
/// Calls in a row that were given up after which the connection is.
const LATE_MAX: u32 = 32;

/// A place for one connection.
pub(super) struct Link {
    state: watch::Sender<State>,
    pub(super) in_flight: AtomicUsize,
    /// Calls in a row that were given up before the answer came.
    late: AtomicU32,
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
            late: AtomicU32::new(0),
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
        self.late.store(0, Ordering::Relaxed);
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
        self.link.late.store(0, Ordering::Relaxed);
        result.map_err(|failed| {
            if failed.is_io_error() || failed.is_unrecoverable_error() {
                self.link.drop_connection(self.number, &failed.to_string());
            }
            error(&failed)
        })
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.link.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.answered && self.link.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_MAX {
            self.link.drop_connection(self.number, "it does not answer");
        }
    }
}
