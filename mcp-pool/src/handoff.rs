//! Where one waiter is given what it waits for, once.

use crate::sync::{Mutex, lock};
use std::task::{Context, Poll, Waker};

enum State<R> {
    Waiting(Waker),
    Given(R),
    /// Taken, or nobody waits any more.
    Over,
}

/// One waiter's place.
pub(crate) struct Handoff<R>(Mutex<State<R>>);

impl<R> Handoff<R> {
    pub(crate) fn new(waker: Waker) -> Self {
        Self(Mutex::new(State::Waiting(waker)))
    }

    /// Gives, and says whom to wake; gives back if the waiter has left.
    pub(crate) fn give(&self, result: R) -> Result<Waker, R> {
        let mut state = lock(&self.0);
        match &*state {
            State::Waiting(_) => match std::mem::replace(&mut *state, State::Given(result)) {
                State::Waiting(waker) => Ok(waker),
                State::Given(result) => Err(result),
                State::Over => unreachable!("it was waiting, under the same lock"),
            },
            State::Given(_) | State::Over => Err(result),
        }
    }

    /// Ready once.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<R> {
        let mut state = lock(&self.0);
        if let State::Waiting(waker) = &mut *state {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Given(result) => Poll::Ready(result),
            State::Waiting(_) | State::Over => Poll::Pending,
        }
    }

    /// The waiter goes; what it was given is somebody else's to have.
    pub(crate) fn leave(&self) -> Option<R> {
        let before = std::mem::replace(&mut *lock(&self.0), State::Over);
        match before {
            State::Given(result) => Some(result),
            State::Waiting(_) | State::Over => None,
        }
    }
}
