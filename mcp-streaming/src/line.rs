//! Those who wait for room, in the order in which they came. Plain values.

use std::{collections::BTreeMap, task::Waker};

/// A place in a [`Line`].
pub(crate) type Ticket = u64;

/// An empty line holds no memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: BTreeMap<Ticket, Waker>,
    next: Ticket,
}

impl Line {
    /// Takes a place at the end, or keeps the one that the ticket names, to be
    /// woken by `waker`. The waker that was there before comes back.
    pub(crate) fn join(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) -> Option<Waker> {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.waiting.insert(ticket, waker.clone())
    }

    /// Gives the place up; says whether it was the first one.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let first = self.is_first(ticket);
        self.waiting.remove(&ticket);
        first
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn is_first(&self, ticket: Ticket) -> bool {
        let first = self.waiting.first_key_value();
        first.is_some_and(|(first, _)| *first == ticket)
    }

    /// The waker of the first one.
    pub(crate) fn first(&self) -> Option<Waker> {
        let first = self.waiting.first_key_value();
        first.map(|(_, waker)| waker.clone())
    }

    /// Everybody's waker. The places stay until they are given up.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waker> + '_ {
        self.waiting.values().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_in_order() {
        let (mut line, waker) = (Line::default(), Waker::noop());
        let (mut a, mut b, mut c) = (None, None, None);
        for ticket in [&mut a, &mut b, &mut c] {
            line.join(ticket, waker);
        }
        line.join(&mut a, waker);
        let [a, b, c] = [a, b, c].map(|ticket| ticket.expect("joined"));
        assert!(line.is_first(a));
        assert!(!line.leave(b), "not the first");
        assert!(line.leave(a));
        assert!(line.is_first(c));
        assert!(line.leave(c));
        assert!(line.is_empty() && line.first().is_none());
    }
}
