//! The wait for one item's result.

use crate::{
    Error,
    slot::{Slot, Unanswered},
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// What an item's caller gets.
pub(crate) type Answer<O, E> = Result<O, Error<E>>;

impl<O, E> Unanswered for Answer<O, E> {
    fn unanswered() -> Self {
        Err(Error::Abandoned)
    }
}

/// A submitted item's result to come. It is ready once, and pending for ever
/// if it is polled again.
///
/// Dropping it cancels the item: if its batch has not started, the item is
/// skipped.
#[must_use = "a ticket that is dropped cancels its item"]
pub struct Ticket<O, E>(pub(crate) Slot<Answer<O, E>>);

impl<O, E> Future for Ticket<O, E> {
    type Output = Result<O, Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl<O, E> fmt::Debug for Ticket<O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
