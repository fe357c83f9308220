//! Which connections are out, and since when.

use crate::clock::NEVER;

/// Lent for long, and said so.
const REPORTED: u64 = NEVER - 1;

/// A place for each connection of the pool, used again when it is closed.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    since_ns: Vec<u64>,
    free: Vec<usize>,
    count: usize,
}

impl Lent {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// A place for a new connection, which is not lent yet.
    pub(crate) fn add(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.since_ns.push(NEVER);
            self.since_ns.len() - 1
        })
    }

    /// Its connection is no longer the pool's.
    pub(crate) fn remove(&mut self, index: usize) {
        self.free.push(index);
    }

    pub(crate) fn lend(&mut self, index: usize, now_ns: u64) {
        self.since_ns[index] = now_ns;
        self.count += 1;
    }

    pub(crate) fn give_back(&mut self, index: usize) {
        self.since_ns[index] = NEVER;
        self.count -= 1;
    }

    /// How long those have been out that reached `limit_ns`; each one once.
    pub(crate) fn report(&mut self, now_ns: u64, limit_ns: u64) -> Vec<u64> {
        let mut overdue = Vec::new();
        for since_ns in &mut self.since_ns {
            if *since_ns < REPORTED && since_ns.saturating_add(limit_ns) <= now_ns {
                overdue.push(now_ns - *since_ns);
                *since_ns = REPORTED;
            }
        }
        overdue
    }

    /// When the next one reaches `limit_ns`.
    pub(crate) fn next_report_ns(&self, limit_ns: u64) -> u64 {
        let out = self
            .since_ns
            .iter()
            .filter(|since_ns| **since_ns < REPORTED);
        out.min()
            .map_or(NEVER, |since_ns| since_ns.saturating_add(limit_ns))
    }
}
