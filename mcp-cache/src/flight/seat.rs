//! The two parts in a flight: leading it, and waiting for it.

use super::{Flight, Flights};
use crate::{
    Ticket,
    sync::{Arc, lock},
};
use std::task::{Context, Poll};

/// The right and the duty to load. Dropping it without a result hands it to
/// somebody who waits.
pub(crate) struct Lead<'a, K, R> {
    flights: &'a Flights<K, R>,
    hash: u64,
    /// `None` once it has landed.
    flight: Option<Arc<Flight<R>>>,
}

/// A lead on its way into a task.
pub(crate) struct Parked<R> {
    hash: u64,
    flight: Option<Arc<Flight<R>>>,
}

/// A place in the line of those who wait.
pub(crate) struct Seat<'a, K, R> {
    flights: &'a Flights<K, R>,
    hash: u64,
    /// `None` once its turn has come.
    flight: Option<Arc<Flight<R>>>,
    place: Option<usize>,
}

/// What came of waiting.
pub(crate) enum Turn<'a, K, R, T> {
    /// The load is over; this was read from its result.
    Landed(T),
    /// The leader is gone, and this caller leads now.
    Lead(Lead<'a, K, R>),
}

impl<'a, K, R> Lead<'a, K, R> {
    pub(super) fn new(flights: &'a Flights<K, R>, hash: u64, flight: Arc<Flight<R>>) -> Self {
        Self {
            flights,
            hash,
            flight: Some(flight),
        }
    }

    /// The load begins now: for whoever took over and for whoever tries again.
    pub(crate) fn begin(&self, ticket: Ticket) {
        if let Some(flight) = &self.flight {
            lock(&flight.state).ticket = ticket;
        }
    }

    /// Ends the flight; all who wait get the result, which is made only if
    /// somebody does.
    pub(crate) fn land(mut self, result: impl FnOnce() -> R) {
        // Taken afterwards: if `result` panics, somebody else takes over.
        if let Some(flight) = &self.flight {
            self.flights.land(self.hash, flight, result);
        }
        self.flight = None;
    }
}

impl<K, R> Lead<'_, K, R> {
    /// The lead without its table, to be taken into a task. Nobody leads if it is
    /// not [resumed](Flights::resume).
    pub(crate) fn park(mut self) -> Parked<R> {
        Parked {
            hash: self.hash,
            flight: self.flight.take(),
        }
    }
}

impl<K, R> Flights<K, R> {
    pub(crate) fn resume(&self, parked: Parked<R>) -> Lead<'_, K, R> {
        Lead {
            flights: self,
            hash: parked.hash,
            flight: parked.flight,
        }
    }
}

impl<K, R> Drop for Lead<'_, K, R> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.flights.abandon(self.hash, &flight);
        }
    }
}

impl<'a, K, R> Seat<'a, K, R> {
    pub(super) fn new(flights: &'a Flights<K, R>, hash: u64, flight: Arc<Flight<R>>) -> Self {
        Self {
            flights,
            hash,
            flight: Some(flight),
            place: None,
        }
    }

    /// Ready once: with what `read` makes of the result, or with the lead.
    /// Pending for ever afterwards.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        read: impl FnOnce(&R) -> T,
    ) -> Poll<Turn<'a, K, R, T>> {
        let Some(flight) = self.flight.take() else {
            return Poll::Pending;
        };
        let mut state = lock(&flight.state);
        if let Some(result) = &state.result {
            return Poll::Ready(Turn::Landed(read(result)));
        }
        if state.led {
            state.waiters.register(&mut self.place, cx.waker());
            drop(state);
            self.flight = Some(flight);
            return Poll::Pending;
        }
        state.led = true;
        state.seats -= 1;
        state.waiters.leave(self.place);
        drop(state);
        Poll::Ready(Turn::Lead(Lead::new(self.flights, self.hash, flight)))
    }
}

impl<K, R> Drop for Seat<'_, K, R> {
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let mut state = lock(&flight.state);
        state.seats -= 1;
        if state.result.is_some() {
            return;
        }
        state.waiters.leave(self.place);
        // It may be the one who was asked to take over.
        let heir = match state.led {
            true => return,
            false => state.waiters.pop(),
        };
        let last = state.seats == 0;
        drop(state);
        if let Some(heir) = heir {
            heir.wake();
        }
        if last {
            self.flights.reap(self.hash, &flight);
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
impl<K, R> Seat<'_, K, R> {
    pub(super) fn flight(&self) -> &Flight<R> {
        self.flight.as_ref().expect("its turn has not come")
    }
}
