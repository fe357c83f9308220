//! The wakers of those who wait, each in a place of its own.

use std::task::Waker;

#[derive(Debug, Default)]
pub(super) struct Waiters {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// No place before this one holds a waker.
    first: usize,
}

impl Waiters {
    /// Keeps a waker in the place that the caller got the last time.
    pub(super) fn register(&mut self, place: &mut Option<usize>, waker: &Waker) {
        let at = *place.get_or_insert_with(|| self.free.pop().unwrap_or(self.places.len()));
        match self.places.get_mut(at) {
            Some(Some(known)) => known.clone_from(waker),
            Some(empty) => *empty = Some(waker.clone()),
            None => self.places.push(Some(waker.clone())),
        }
        self.first = self.first.min(at);
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, place: Option<usize>) {
        let Some(at) = place else { return };
        self.places[at] = None;
        self.free.push(at);
    }

    /// Somebody who waits; the place stays taken.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        while let Some(place) = self.places.get_mut(self.first) {
            if let Some(waker) = place.take() {
                return Some(waker);
            }
            self.first += 1;
        }
        None
    }

    pub(super) fn wake_all(self) {
        self.places.into_iter().flatten().for_each(Waker::wake);
    }
}

#[cfg(all(test, not(mcp_loom)))]
impl Waiters {
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }
}
