//! Those who wait for room, in the order in which they came. Plain values.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    task::Waker,
};

/// A place in a [`Line`].
pub(crate) type Ticket = u64;

/// An empty line holds no memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: BTreeMap<Ticket, Waiter>,
    next: Ticket,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    bytes: u64,
}

/// A place was taken or kept.
#[derive(Debug)]
pub(crate) struct Joined {
    /// It was not in the line.
    pub(crate) is_new: bool,
    /// What is not to be called any more. Dropping it may run foreign code.
    pub(crate) old: Option<Waker>,
}

/// A place was given up.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) was_first: bool,
    /// As in [`Joined`].
    pub(crate) old: Option<Waker>,
}

impl Line {
    /// Takes a place at the end, or the one that the ticket names, to be woken by
    /// `waker` for so many bytes.
    pub(crate) fn join(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        bytes: u64,
    ) -> Joined {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.waiting.entry(ticket) {
            Entry::Vacant(place) => {
                let waker = waker.clone();
                place.insert(Waiter { waker, bytes });
                Joined {
                    is_new: true,
                    old: None,
                }
            }
            Entry::Occupied(place) => {
                let waiter = place.into_mut();
                waiter.bytes = bytes;
                let is_same = waiter.waker.will_wake(waker);
                let old = (!is_same).then(|| std::mem::replace(&mut waiter.waker, waker.clone()));
                Joined { is_new: false, old }
            }
        }
    }

    /// Gives the place up, if it is still there.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left {
        let was_first = self.is_first(ticket);
        let waiter = self.waiting.remove(&ticket);
        Left {
            was_first,
            old: waiter.map(|waiter| waiter.waker),
        }
    }

    /// Who is first, and for how many bytes.
    pub(crate) fn head(&self) -> Option<(Ticket, u64)> {
        let first = self.waiting.first_key_value();
        first.map(|(ticket, waiter)| (*ticket, waiter.bytes))
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
        first.map(|(_, waiter)| waiter.waker.clone())
    }

    /// Everybody's waker. The places stay until they are given up.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waker> + '_ {
        self.waiting.values().map(|waiter| waiter.waker.clone())
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
            assert!(line.join(ticket, waker, 1).is_new);
        }
        assert!(!line.join(&mut a, waker, 2).is_new);
        let [a, b, c] = [a, b, c].map(|ticket| ticket.expect("joined"));
        assert_eq!(line.head(), Some((a, 2)));
        assert!(!line.leave(b).was_first);
        assert!(line.leave(a).was_first);
        assert!(line.is_first(c));
        assert!(line.join(&mut Some(a), waker, 1).is_new);
        assert!(line.is_first(a), "who comes back has its turn");
        assert!(line.leave(a).was_first && line.leave(c).was_first);
        assert!(line.is_empty() && line.first().is_none());
    }
}
