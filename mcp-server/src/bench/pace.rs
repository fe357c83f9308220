//! When a connection makes its calls.

use std::time::Duration;

use super::random::Random;

/// When the calls of a load are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// A connection calls again as soon as it was answered: as much as there is to get. Where the
    /// server stalls, nobody calls, so that the latencies say little about how long users wait.
    Closed,
    /// Calls are due at fixed times, whatever the server does, and a latency counts from then on:
    /// a call that waits for the one before it waits for the server (no coordinated omission).
    Open(Arrivals),
}

/// How calls arrive on all connections together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrivals {
    /// Calls per second.
    pub rate: f64,
    /// Calls that are due at the same moment on one connection.
    pub burst_len: u32,
    /// Chance, which decides when each connection begins.
    pub seed: u64,
}

/// The times at which the calls of one connection are due, counted from the load's beginning.
#[derive(Debug, Clone)]
pub struct Schedule {
    next: Duration,
    interval: Duration,
    burst_len: u32,
    left: u32,
}

impl Arrivals {
    /// The schedule of one of `connections`.
    #[must_use]
    pub fn schedule(&self, connection: u32, connections: u32) -> Schedule {
        let burst_len = self.burst_len.max(1);
        let seconds = f64::from(connections) * f64::from(burst_len) / self.rate;
        let interval = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let begin = Random::stream(self.seed, u64::from(connection)).unit();
        Schedule {
            next: interval.mul_f64(begin.min(1.0)),
            interval,
            burst_len,
            left: burst_len,
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due = self.next;
        self.left -= 1;
        if self.left == 0 {
            self.left = self.burst_len;
            self.next = self.next.saturating_add(self.interval);
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_together_reach_the_rate_in_bursts() {
        let arrivals = Arrivals {
            rate: 1_000.0,
            burst_len: 20,
            seed: 5,
        };
        let second = Duration::from_secs(10);
        let mut calls = 0;
        for connection in 0..8 {
            let due: Vec<_> = arrivals
                .schedule(connection, 8)
                .take_while(|due| *due < second)
                .collect();
            assert_eq!(due.len() % 20, 0, "whole bursts");
            for burst in due.chunks(20) {
                assert_eq!(burst.first(), burst.last());
            }
            calls += due.len();
        }
        assert!((9_840..=10_160).contains(&calls), "{calls}");
    }
}
