//! What a cache could reach on a trace.

use std::{collections::HashMap, ops::Range};

use serde::{Deserialize, Serialize};

use super::{NAMESPACES, Op, Trace};

/// Shares of a trace's reads (searches and gets).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The reads that repeat an earlier one: what a cache would reach if nothing ever changed.
    pub ceiling: f64,
    /// The same, if every write threw away what is kept of its namespace.
    pub by_namespace: f64,
}

/// What could be reached in the `measured` calls of each client; the calls before them count as
/// earlier ones. The clients take turns.
#[must_use]
pub fn reach(trace: &Trace, measured: &[Range<usize>]) -> Reach {
    let mut kept = Kept::default();
    let (mut reads, mut repeated, mut left) = (0_u64, 0_u64, 0_u64);
    let end = measured.iter().map(|range| range.end).max().unwrap_or(0);
    for place in 0..end {
        for (ops, range) in trace.clients().iter().zip(measured) {
            let Some(op) = ops.get(place).filter(|_| place < range.end) else {
                continue;
            };
            let counted = range.contains(&place);
            if let Some((again, valid)) = kept.follow(trace, op)
                && counted
            {
                reads += 1;
                repeated += u64::from(again);
                left += u64::from(valid);
            }
        }
    }
    let share = |count: u64| match reads {
        0 => 0.0,
        _ => count as f64 / reads as f64,
    };
    Reach {
        ceiling: share(repeated),
        by_namespace: share(left),
    }
}

/// What was read so far, and the writes that it has seen.
#[derive(Default)]
struct Kept {
    reads: HashMap<Read, u64>,
    /// Writes per namespace, and in all.
    writes: HashMap<u32, u64>,
    writes_all: u64,
    namespaces: HashMap<u32, u32>,
}

#[derive(PartialEq, Eq, Hash)]
enum Read {
    Search(u32),
    Get(u32),
}

impl Kept {
    /// For a read: whether it was made before, and whether nothing was written since then to where
    /// it reads.
    fn follow(&mut self, trace: &Trace, op: &Op) -> Option<(bool, bool)> {
        match op {
            Op::Search { query } => {
                let scope = trace.queries()[*query as usize].namespace;
                Some(self.read(Read::Search(*query), self.written(scope)))
            }
            Op::Get { memory } => {
                let scope = self.namespace(*memory);
                Some(self.read(Read::Get(*memory), self.written(Some(scope))))
            }
            Op::Add {
                memory, namespace, ..
            } => {
                self.namespaces.insert(*memory, *namespace);
                self.write(*namespace);
                None
            }
            Op::Update { memory, .. } | Op::Delete { memory } => {
                self.write(self.namespace(*memory));
                None
            }
            Op::Batch(ops) => {
                for op in ops {
                    self.follow(trace, op);
                }
                None
            }
        }
    }

    fn read(&mut self, read: Read, written: u64) -> (bool, bool) {
        let before = self.reads.insert(read, written);
        (before.is_some(), before == Some(written))
    }

    fn write(&mut self, namespace: u32) {
        *self.writes.entry(namespace).or_default() += 1;
        self.writes_all += 1;
    }

    fn written(&self, scope: Option<u32>) -> u64 {
        match scope {
            Some(namespace) => self.writes.get(&namespace).copied().unwrap_or(0),
            None => self.writes_all,
        }
    }

    fn namespace(&self, memory: u32) -> u32 {
        let added = self.namespaces.get(&memory).copied();
        added.unwrap_or(memory % NAMESPACES)
    }
}
