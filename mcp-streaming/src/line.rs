//! Those who wait for room, in the order in which they came. Plain values.

use std::{collections::BTreeMap, mem::replace, num::NonZeroU64, task::Waker};

/// A place in a [`Line`]; the smaller one came first.
pub(crate) type Ticket = NonZeroU64;

/// One in which nobody ever waited holds no memory, and one in which one at a
/// time waits allocates once.
#[derive(Debug, Default)]
pub(crate) struct Line(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    first: Option<(Ticket, Waiter)>,
    /// Those behind the first one.
    rest: BTreeMap<Ticket, Waiter>,
    tickets: u64,
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
        let waiting = self.0.get_or_insert_default();
        let ticket = *ticket.get_or_insert_with(|| waiting.next_ticket());
        if let Some(waiter) = waiting.find(ticket) {
            waiter.bytes = bytes;
            let is_same = waiter.waker.will_wake(waker);
            let old = (!is_same).then(|| replace(&mut waiter.waker, waker.clone()));
            return Joined { is_new: false, old };
        }
        let waker = waker.clone();
        waiting.enter(ticket, Waiter { waker, bytes });
        Joined {
            is_new: true,
            old: None,
        }
    }

    /// Gives the place up, if it is still there.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left {
        let was_first = self.is_first(ticket);
        let waiting = self.0.as_mut();
        let old = waiting.and_then(|waiting| match was_first {
            true => replace(&mut waiting.first, waiting.rest.pop_first()).map(|(_, first)| first),
            false => waiting.rest.remove(&ticket),
        });
        Left {
            was_first,
            old: old.map(|waiter| waiter.waker),
        }
    }

    /// Who is first, and for how many bytes.
    pub(crate) fn head(&self) -> Option<(Ticket, u64)> {
        self.front().map(|(ticket, waiter)| (*ticket, waiter.bytes))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    pub(crate) fn is_first(&self, ticket: Ticket) -> bool {
        self.front().is_some_and(|(first, _)| *first == ticket)
    }

    /// The waker of the first one.
    pub(crate) fn first(&self) -> Option<Waker> {
        self.front().map(|(_, waiter)| waiter.waker.clone())
    }

    /// Everybody's waker. The places stay until they are given up.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waker> + '_ {
        let rest = self.0.iter().flat_map(|waiting| waiting.rest.values());
        let waiters = self.front().map(|(_, waiter)| waiter).into_iter();
        waiters.chain(rest).map(|waiter| waiter.waker.clone())
    }

    #[inline]
    fn front(&self) -> Option<&(Ticket, Waiter)> {
        self.0.as_ref()?.first.as_ref()
    }
}

impl Waiting {
    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket::new(self.tickets).expect("it was raised")
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        match &mut self.first {
            Some((first, waiter)) if *first == ticket => Some(waiter),
            _ => self.rest.get_mut(&ticket),
        }
    }

    fn enter(&mut self, ticket: Ticket, waiter: Waiter) {
        let behind = match &mut self.first {
            // Who comes back has its turn.
            Some(first) if ticket < first.0 => replace(first, (ticket, waiter)),
            Some(_) => (ticket, waiter),
            None => {
                self.first = Some((ticket, waiter));
                return;
            }
        };
        self.rest.insert(behind.0, behind.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        /// Against a map from ticket to bytes.
        #[test]
        fn the_first_one_is_who_came_first(
            steps in prop::collection::vec((0u8..3, 0usize..8, 1u64..100), 0..100),
        ) {
            let (mut line, mut model, mut tickets) = (Line::default(), BTreeMap::new(), [None; 8]);
            for (step, who, bytes) in steps {
                match (step, tickets[who]) {
                    (0 | 1, _) => {
                        let joined = line.join(&mut tickets[who], Waker::noop(), bytes);
                        let ticket = tickets[who].expect("joined");
                        prop_assert_eq!(joined.is_new, model.insert(ticket, bytes).is_none());
                    }
                    (_, Some(ticket)) => {
                        let was_first = model.keys().next() == Some(&ticket);
                        let left = line.leave(ticket);
                        prop_assert_eq!(left.was_first, was_first);
                        prop_assert_eq!(left.old.is_some(), model.remove(&ticket).is_some());
                    }
                    (_, None) => {}
                }
                let first = model.first_key_value();
                prop_assert_eq!(line.head(), first.map(|(ticket, bytes)| (*ticket, *bytes)));
                prop_assert_eq!(line.all().count(), model.len());
            }
        }
    }
}
