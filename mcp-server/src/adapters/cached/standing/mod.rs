//! A search whose answer is kept, and brought up to date by what has changed since.
//!
//! Plain functions of (state, changes, now): no clock, no lock, no store.

mod stored;

use std::sync::Arc;

use tokio::time::Instant;

pub(super) use self::stored::Stored;
use super::value::Kept;
use crate::{
    memory::{
        Found, Hit,
        search::{Basis, Match, Query, Recent, Statistics},
    },
    written::Form,
};

/// About what a search takes besides its matches, in bytes.
const SEARCH_BYTES: usize = 1024;

/// How far a kept search may be from a new one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Matches that are kept beyond the limit.
    pub(super) spares: usize,
    /// See [`CacheConfig::drift_max`](super::CacheConfig::drift_max).
    pub(super) drift_max: f64,
}

/// The matches of a search, ranked by the counts of the time at which it was run.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    query: Arc<Query>,
    /// The last change that it has seen.
    upto: i64,
    /// The counts that all its matches are ranked by.
    ranked_by: Arc<Statistics>,
    /// The counts as they have become.
    counts: Statistics,
    /// Best first.
    held: Arc<[Held]>,
    /// Of the matches that are worse than this, not all are held; `None`: all that there are.
    bound: Option<Match>,
    /// When it is to be run again, whatever has changed.
    until: Instant,
    /// Where the written form of the answer is kept, as long as the answer stays the same.
    form: Arc<Form>,
    /// The change that it had seen when it was last offered to other processes.
    offered: Option<i64>,
}

#[derive(Debug, Clone)]
struct Held {
    found: Match,
    kept: Kept,
}

impl Standing {
    /// Keeps what was `found` by `query` when `asked` matches were asked for, up to `until`.
    /// `None` if it cannot be kept: it was cut short before the limit, or nobody says what it
    /// rests on.
    pub(super) fn new(
        query: Arc<Query>,
        found: &Found,
        asked: usize,
        until: Instant,
    ) -> Option<Self> {
        let basis: &Basis = found.basis.as_deref()?;
        if found.truncated && found.memories.len() < query.limit() {
            return None;
        }
        let held: Arc<[Held]> = found
            .memories
            .iter()
            .zip(&basis.matches)
            .map(|(hit, found)| Held {
                found: *found,
                kept: Kept::new(hit.memory.clone()),
            })
            .collect();
        let all = held.len() < asked && !found.truncated;
        Some(Self {
            query,
            upto: basis.upto,
            counts: basis.statistics.clone(),
            ranked_by: Arc::new(basis.statistics.clone()),
            bound: held.last().filter(|_| !all).map(|held| held.found),
            held,
            until,
            form: Arc::default(),
            offered: None,
        })
    }

    /// The last change that it has seen.
    pub(super) fn upto(&self) -> i64 {
        self.upto
    }

    /// When it is to be run again.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Whether to offer it to other processes, which is noted: it never was, or has moved on by
    /// `after` changes, and would soon be too old for one that begins.
    pub(super) fn is_to_be_offered(&mut self, after: i64) -> bool {
        let due = self.offered.is_none_or(|seen| self.upto - seen >= after);
        if due {
            self.offered = Some(self.upto);
        }
        due
    }

    /// Bytes on the heap, the answer's written form included; that of a memory by itself is never
    /// made here.
    pub(super) fn bytes(&self) -> usize {
        let held = self.held.iter().map(|held| held.kept.heap_bytes());
        let answered = self.held.iter().take(self.query.limit());
        let form = answered.map(|held| held.kept.memory.form_bytes_max());
        held.sum::<usize>() + form.sum::<usize>() + SEARCH_BYTES
    }

    /// The same search after what has changed since. `None` if it has to be run again: not all of
    /// that is known any more, too few matches are left, or the ranking has drifted too far.
    pub(super) fn follow(&self, recent: &Recent, rules: Rules) -> Option<Self> {
        if !recent.reaches(self.upto) {
            return None;
        }
        let mut counts = self.counts.clone();
        recent.count(&self.query, self.upto, &mut counts);
        if f64::from(counts.drift_since(&self.ranked_by)) > rules.drift_max {
            return None;
        }
        let (held, bound) = self.merged(recent, rules.spares);
        if bound.is_some() && held.len() < self.query.limit() {
            return None;
        }
        let form = match self.answers_as(&held) {
            true => self.form.clone(),
            false => Arc::default(),
        };
        Some(Self {
            query: self.query.clone(),
            upto: recent.upto(),
            ranked_by: self.ranked_by.clone(),
            counts,
            held,
            bound,
            until: self.until,
            form,
            offered: self.offered,
        })
    }

    /// Whether the answer is the same with what is `held` now.
    fn answers_as(&self, held: &Arc<[Held]>) -> bool {
        let limit = self.query.limit();
        let same = |(a, b): (&Held, &Held)| {
            a.found == b.found && Arc::ptr_eq(&a.kept.memory, &b.kept.memory)
        };
        let answered = |held: &Arc<[Held]>| held.len().min(limit);
        Arc::ptr_eq(&self.held, held)
            || answered(&self.held) == answered(held)
                && self.held.iter().zip(held.iter()).take(limit).all(same)
    }

    /// What is held without what has changed, and with what matches now.
    fn merged(&self, recent: &Recent, spares: usize) -> (Arc<[Held]>, Option<Match>) {
        let changed = |held: &&Held| recent.has_changed(held.found.row, self.upto);
        let mut news = recent.news(&self.query, self.upto, &self.ranked_by);
        news.retain(|news| self.bound.is_none_or(|bound| news.found < bound));
        if news.is_empty() && !self.held.iter().any(|held| changed(&held)) {
            return (self.held.clone(), self.bound);
        }
        let mut held: Vec<Held> = self
            .held
            .iter()
            .filter(|held| !changed(held))
            .cloned()
            .collect();
        held.extend(news.into_iter().map(|news| Held {
            found: news.found,
            kept: Kept::new(news.memory),
        }));
        held.sort_unstable_by_key(|held| held.found);
        let mut bound = self.bound;
        if held.len() > self.query.limit() + 2 * spares {
            held.truncate(self.query.limit() + spares);
            bound = held.last().map(|held| held.found);
        }
        (held.into(), bound)
    }

    /// The answer at `now_ms` after 1970, and how many bytes of stored text it holds. `None` if the
    /// search has to be run again: too few matches are left, or they are more than `bytes_max`.
    pub(super) fn answer(&self, now_ms: i64, bytes_max: usize) -> Option<(Found, usize)> {
        let limit = self.query.limit();
        let mut memories = Vec::with_capacity(limit.min(self.held.len()));
        let mut bytes = 0;
        let alive = self.held.iter().filter(|held| held.kept.is_alive(now_ms));
        for held in alive.take(limit) {
            bytes += held.kept.bytes;
            if bytes > bytes_max {
                return None;
            }
            memories.push(Hit {
                memory: held.kept.memory.clone(),
                score: f64::from(held.found.score),
            });
        }
        if memories.len() < limit && self.bound.is_some() {
            return None;
        }
        // What expires is left out one day, so that answer is written each time.
        let expires = self.held.iter().any(|held| held.kept.expires());
        let form = match expires {
            true => Arc::default(),
            false => self.form.clone(),
        };
        let found = Found {
            memories,
            form,
            ..Found::default()
        };
        Some((found, bytes))
    }
}
