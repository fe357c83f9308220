//! Invalidations that the store has not numbered yet.

use super::scope::{Mark, Scope};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use std::collections::HashMap;

/// What this process has invalidated and no other one knows of. Until the store
/// has numbered it, a record of the second tier that it concerns is dead here.
#[derive(Debug)]
pub(crate) struct Pending {
    len_max: usize,
    /// Waiting and flying ones, so that nearly every read takes no lock.
    len: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Mark, Scope>,
    flying: HashMap<Mark, Scope>,
    /// There were too many: everything older than now is given up instead.
    all: bool,
    /// That is on its way.
    all_flying: bool,
    /// How many were added; all up to `numbered` are numbered.
    added: u64,
    numbered: u64,
    /// How many will be once what flies is.
    covers: u64,
}

/// What is to be told the store next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Batch {
    Scopes(Vec<Scope>),
    /// More than could be kept.
    Everything,
}

impl Pending {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            len_max,
            len: AtomicU64::new(0),
            state: Mutex::new(State::default()),
        }
    }

    /// To be called before the first tier is invalidated: whoever reads after
    /// that and finds nothing here finds it stamped. Whether there was room.
    pub(crate) fn add(&self, scopes: impl IntoIterator<Item = Scope>) -> bool {
        let mut state = lock(&self.state);
        let mut kept = true;
        for scope in scopes {
            state.added += 1;
            if state.all {
                continue;
            }
            state.waiting.insert(scope.mark(), scope);
            if state.waiting.len() > self.len_max {
                state.waiting.clear();
                state.all = true;
                kept = false;
            }
        }
        self.count(&state);
        kept
    }

    /// How many were added so far.
    pub(crate) fn added(&self) -> u64 {
        lock(&self.state).added
    }

    /// Takes up to `len_max` of them, which count until [`done`](Self::done).
    pub(crate) fn take(&self, len_max: usize) -> Option<Batch> {
        let mut state = lock(&self.state);
        if state.all {
            state.all = false;
            state.all_flying = true;
            state.covers = state.added;
            self.count(&state);
            return Some(Batch::Everything);
        }
        let marks: Vec<Mark> = state.waiting.keys().take(len_max).copied().collect();
        if marks.is_empty() {
            return None;
        }
        for mark in marks {
            if let Some(scope) = state.waiting.remove(&mark) {
                state.flying.insert(mark, scope);
            }
        }
        if state.waiting.is_empty() {
            state.covers = state.added;
        }
        self.count(&state);
        Some(Batch::Scopes(state.flying.values().cloned().collect()))
    }

    /// What was taken is numbered, and the mirror has it. All that were added
    /// up to this count are.
    pub(crate) fn done(&self) -> u64 {
        let mut state = lock(&self.state);
        state.flying.clear();
        state.all_flying = false;
        state.numbered = state.covers;
        self.count(&state);
        state.numbered
    }

    /// What was taken has to be taken again.
    pub(crate) fn failed(&self) {
        let mut state = lock(&self.state);
        state.all |= std::mem::take(&mut state.all_flying);
        state.covers = state.numbered;
        let flying = std::mem::take(&mut state.flying);
        if state.all {
            state.waiting.clear();
        } else {
            state.waiting.extend(flying);
        }
        self.count(&state);
    }

    /// Whether a record with these marks is dead here.
    pub(crate) fn concerns(&self, marks: impl IntoIterator<Item = Mark>) -> bool {
        if self.len.load(Ordering::Acquire) == 0 {
            return false;
        }
        let state = lock(&self.state);
        let is_in =
            |mark: &Mark| state.waiting.contains_key(mark) || state.flying.contains_key(mark);
        state.all || state.all_flying || marks.into_iter().any(|mark| is_in(&mark))
    }

    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Under the lock.
    fn count(&self, state: &State) {
        let all = usize::from(state.all) + usize::from(state.all_flying);
        let len = state.waiting.len() + state.flying.len() + all;
        self.len.store(len as u64, Ordering::Release);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use crate::remote::scope::Kind;

    fn scope(name: &str) -> Scope {
        Scope::new(Kind::Tag, name)
    }

    #[test]
    fn what_is_not_numbered_yet_is_dead_here() {
        let pending = Pending::new(8);
        let concerns = |name| pending.concerns([scope(name).mark()]);
        assert!(!concerns("a"));
        assert!(pending.add([scope("a")]));
        assert!(concerns("a") && !concerns("b"));
        assert_eq!(pending.take(9), Some(Batch::Scopes(vec![scope("a")])));
        assert!(concerns("a"), "on its way");
        pending.failed();
        assert!(concerns("a"), "to be told again");
        assert_eq!(pending.take(9), Some(Batch::Scopes(vec![scope("a")])));
        // Once more while the first is on its way.
        pending.add([scope("a")]);
        pending.done();
        assert!(concerns("a"), "the second one counts by itself");
        assert!(pending.take(9).is_some());
        assert_eq!(pending.done(), 2);
        assert!(!concerns("a") && pending.len() == 0);
        assert_eq!(pending.take(9), None);
    }

    #[test]
    fn too_many_become_everything() {
        let pending = Pending::new(2);
        assert!(pending.add([scope("a"), scope("b")]));
        assert!(!pending.add([scope("c")]));
        assert!(pending.concerns([scope("z").mark()]));
        assert_eq!(pending.take(9), Some(Batch::Everything));
        pending.failed();
        assert!(pending.concerns([scope("z").mark()]));
        assert_eq!(pending.take(9), Some(Batch::Everything));
        pending.add([scope("d")]);
        pending.done();
        assert!(!pending.concerns([scope("z").mark()]));
        assert!(pending.concerns([scope("d").mark()]), "it came after");
        assert!(pending.take(9).is_some());
        assert_eq!(pending.done(), 4);
    }

    #[test]
    fn batches_are_bounded_and_nothing_is_done_too_early() {
        let pending = Pending::new(100);
        pending.add(["a", "b", "c"].map(scope));
        let Some(Batch::Scopes(first)) = pending.take(2) else {
            panic!("two of three");
        };
        assert_eq!(first.len(), 2);
        assert_eq!(pending.done(), 0);
        assert!(pending.take(2).is_some());
        assert_eq!(pending.done(), 3);
    }
}
