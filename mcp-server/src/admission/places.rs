//! Who has a place and who waits for one, as plain state: no clock, no lock, no task.

use std::{collections::VecDeque, time::Duration};

use super::LanesConfig;
use crate::call::Lane;

/// The weight of one call in the average of how long calls take.
const MEAN_WEIGHT: f64 = 0.1;
/// The bounds of how long a refused caller is told to wait.
const RETRY_AFTER: std::ops::RangeInclusive<f64> = 0.1..=5.0;

/// The places of all lanes. `T` is what is kept of a call that waits.
#[derive(Debug)]
pub(super) struct Places<T> {
    config: LanesConfig,
    lanes: [Lines<T>; 3],
    next_ticket: u64,
}

/// One lane's calls: those at work and those that wait, the first to come first.
#[derive(Debug)]
struct Lines<T> {
    in_flight: u32,
    waiting: VecDeque<(u64, T)>,
    /// How long a call takes on average, in seconds.
    mean_secs: f64,
}

/// What becomes of a call that has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It has a place.
    Admitted,
    /// It waits, under this number.
    Waits(u64),
    /// As many wait as may.
    Full,
}

impl<T> Places<T> {
    pub(super) fn new(config: LanesConfig) -> Self {
        Self {
            config,
            lanes: Lane::ALL.map(|_| Lines {
                in_flight: 0,
                waiting: VecDeque::new(),
                mean_secs: 0.0,
            }),
            next_ticket: 0,
        }
    }

    pub(super) fn config(&self) -> &LanesConfig {
        &self.config
    }

    /// From now on these rules hold; calls at work and calls that wait stay where they are.
    pub(super) fn set(&mut self, config: LanesConfig) {
        self.config = config;
    }

    /// A call has come. `keep` makes what is kept of it if it must wait.
    pub(super) fn enter(&mut self, lane: Lane, keep: impl FnOnce() -> T) -> Entry {
        let at = lane.index();
        // Nobody overtakes: new rules may have made room that those who wait have not taken yet.
        if self.lanes[at].waiting.is_empty() && self.has_place(lane) {
            self.lanes[at].in_flight += 1;
            return Entry::Admitted;
        }
        if self.lanes[at].waiting.len() >= self.config.lane(lane).queue_len_max.get() {
            return Entry::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.lanes[at].waiting.push_back((ticket, keep()));
        Entry::Waits(ticket)
    }

    /// A call that had a place has ended, after `took` if that says how long calls take.
    pub(super) fn leave(&mut self, lane: Lane, took: Option<Duration>) {
        let lines = &mut self.lanes[lane.index()];
        lines.in_flight -= 1;
        if let Some(took) = took {
            lines.mean_secs += (took.as_secs_f64() - lines.mean_secs) * MEAN_WEIGHT;
        }
    }

    /// A call waits no longer. `false` if it was not waiting any more: it had been given a place.
    pub(super) fn give_up(&mut self, lane: Lane, ticket: u64) -> bool {
        let waiting = &mut self.lanes[lane.index()].waiting;
        let found = waiting.iter().position(|(known, _)| *known == ticket);
        found.is_some_and(|at| waiting.remove(at).is_some())
    }

    /// Gives a free place to a call that waits, if there are both: of the lanes that may have it,
    /// the one that uses the least beyond what it has reserved.
    pub(super) fn next(&mut self) -> Option<T> {
        let lane = Lane::ALL
            .into_iter()
            .filter(|lane| !self.lanes[lane.index()].waiting.is_empty() && self.has_place(*lane))
            .min_by_key(|lane| {
                let reserved = i64::from(self.config.lane(*lane).reserved);
                i64::from(self.lanes[lane.index()].in_flight) - reserved
            })?;
        let lines = &mut self.lanes[lane.index()];
        let (_, kept) = lines.waiting.pop_front()?;
        lines.in_flight += 1;
        Some(kept)
    }

    pub(super) fn in_flight(&self, lane: Lane) -> u32 {
        self.lanes[lane.index()].in_flight
    }

    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.lanes[lane.index()].waiting.len()
    }

    /// When a refused call may find room: about when those that wait now will have had their turn.
    pub(super) fn retry_after(&self, lane: Lane) -> Duration {
        let lines = &self.lanes[lane.index()];
        // A queue is never longer than a computer's memory: no digit is lost.
        let turns = lines.waiting.len() as f64 / f64::from(lines.in_flight.max(1));
        let secs = lines.mean_secs * turns;
        Duration::from_secs_f64(secs.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()))
    }

    /// Whether one more call of this lane fits: into what it has reserved, or into what nobody has.
    fn has_place(&self, lane: Lane) -> bool {
        if self.lanes[lane.index()].in_flight < self.config.lane(lane).reserved {
            return true;
        }
        let mut shared = i64::from(self.config.in_flight_max.get());
        for lane in Lane::ALL {
            let reserved = self.config.lane(lane).reserved;
            // What it has reserved is gone whether it is used or not, and so is what it uses more.
            shared -= i64::from(reserved.max(self.lanes[lane.index()].in_flight));
        }
        shared > 0
    }
}

#[cfg(test)]
mod tests;
