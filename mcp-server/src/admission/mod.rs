//! Admission: how many calls are at work at once, lane by lane, so that a flood from one kind of
//! client leaves the others their share, and what is too much is refused at once.

mod config;
mod places;
mod stats;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

pub use config::{LaneConfig, LanesConfig};
pub use stats::{Histogram, LaneStats};

use self::{
    places::{Entry, Places},
    stats::Counters,
};
use crate::{
    call::Lane,
    monitoring::{LaneStatus, Parts},
    ports::Observed,
};

/// Gives calls a place to work, as [`LanesConfig`] says. Clones share the places.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    places: Mutex<Places<oneshot::Sender<()>>>,
    counters: [Counters; 3],
}

/// There is no room for a call; nothing was done, and the same call may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server has as many calls of {lane} clients as it takes, {waiting} of them waiting: try \
     again in {retry_after_ms} ms",
    retry_after_ms = retry_after.as_millis()
)]
pub struct Overloaded {
    /// The lane that is full.
    pub lane: Lane,
    /// How many calls wait in it.
    pub waiting: usize,
    /// When to try again.
    pub retry_after: Duration,
}

impl Admission {
    /// Places as `config` says, all of them free.
    #[must_use]
    pub fn new(config: &LanesConfig) -> Self {
        Self(Arc::new(Shared {
            places: Mutex::new(Places::new(config.clone())),
            counters: Default::default(),
        }))
    }

    /// From now on `config` holds. Calls at work go on, whatever it says.
    pub fn set(&self, config: &LanesConfig) {
        let mut places = self.0.lock();
        places.set(config.clone());
        hand_on(&mut places);
    }

    /// Waits for a place in `lane` and holds it until the answer is dropped. Who came first to a
    /// lane goes first.
    ///
    /// # Errors
    ///
    /// [`Overloaded`]: at once if too many wait already, or after `queue_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has had no place and takes nobody's turn.
    pub async fn enter(&self, lane: Lane) -> Result<Admitted, Overloaded> {
        let counters = &self.0.counters[lane.index()];
        let came = Instant::now();
        let (waiting, granted, timeout) = {
            let mut places = self.0.lock();
            let (grant, granted) = oneshot::channel();
            match places.enter(lane, || grant) {
                Entry::Admitted => {
                    drop(places);
                    Counters::count(&counters.admitted);
                    return Ok(self.admitted(lane, came));
                }
                Entry::Full => {
                    Counters::count(&counters.shed);
                    return Err(overloaded(&places, lane));
                }
                Entry::Waits(ticket) => {
                    let timeout = places.config().queue_timeout;
                    let waiting = Waiting {
                        shared: &self.0,
                        lane,
                        ticket: Some(ticket),
                    };
                    (waiting, granted, timeout)
                }
            }
        };
        Counters::count(&counters.queued);
        match tokio::time::timeout(timeout, granted).await {
            Ok(_) => {
                waiting.take();
                Counters::count(&counters.admitted);
                Ok(self.admitted(lane, came))
            }
            Err(_) => {
                let error = overloaded(&self.0.lock(), lane);
                waiting.shed();
                Err(error)
            }
        }
    }

    /// The counters of all lanes at this moment.
    #[must_use]
    pub fn stats(&self) -> [LaneStats; 3] {
        let places = self.0.lock();
        Lane::ALL.map(|lane| {
            let (in_flight, waiting) = (places.in_flight(lane), places.waiting(lane));
            self.0.counters[lane.index()].snapshot(lane, in_flight, waiting)
        })
    }

    fn admitted(&self, lane: Lane, came: Instant) -> Admitted {
        Admitted {
            shared: self.0.clone(),
            lane,
            came,
            began: Instant::now(),
        }
    }
}

impl Observed for Admission {
    fn observe(&self, parts: &mut Parts) {
        let lanes = self.stats().map(|lane| LaneStatus {
            lane: lane.lane,
            in_flight: lane.in_flight.into(),
            waiting: lane.waiting as u64,
            admitted: lane.admitted,
            queued: lane.queued,
            shed: lane.shed,
            abandoned: lane.abandoned,
        });
        parts.lanes.extend(lanes);
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.stats()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Places<oneshot::Sender<()>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place is free again.
    fn leave(&self, lane: Lane, took: Option<Duration>) {
        let mut places = self.lock();
        places.leave(lane, took);
        hand_on(&mut places);
    }
}

/// Gives the places that are free to those who wait.
fn hand_on(places: &mut Places<oneshot::Sender<()>>) {
    while let Some(grant) = places.next() {
        // Who gives up takes itself out of the line under the same lock, or gives the place back.
        let _ = grant.send(());
    }
}

fn overloaded<T>(places: &Places<T>, lane: Lane) -> Overloaded {
    Overloaded {
        lane,
        waiting: places.waiting(lane),
        retry_after: places.retry_after(lane),
    }
}

/// A place to work in a lane, free again when it is dropped.
pub struct Admitted {
    shared: Arc<Shared>,
    lane: Lane,
    came: Instant,
    began: Instant,
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admitted").field(&self.lane).finish()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let now = Instant::now();
        self.shared.counters[self.lane.index()].took(now - self.came);
        self.shared.leave(self.lane, Some(now - self.began));
    }
}

/// A call that waits. Dropped, it leaves the line, or gives back the place that it got meanwhile.
struct Waiting<'a> {
    shared: &'a Shared,
    lane: Lane,
    /// `None` once it has become something else.
    ticket: Option<u64>,
}

impl Waiting<'_> {
    /// Its turn has come.
    fn take(mut self) {
        self.ticket = None;
    }

    /// It has waited too long.
    fn shed(mut self) {
        self.leave();
        Counters::count(&self.shared.counters[self.lane.index()].shed);
    }

    fn leave(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else {
            return false;
        };
        let waited = self.shared.lock().give_up(self.lane, ticket);
        if !waited {
            self.shared.leave(self.lane, None);
        }
        true
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.leave() {
            Counters::count(&self.shared.counters[self.lane.index()].abandoned);
        }
    }
}

#[cfg(test)]
mod tests;
