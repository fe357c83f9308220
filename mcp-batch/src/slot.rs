//! Where one item's result waits for its caller.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};
use std::task::{Context, Poll, Waker};

/// An answer for a reply that is dropped unanswered.
pub(crate) trait Unanswered {
    fn unanswered() -> Self;
}

enum State<R> {
    Empty(Option<Waker>),
    Done(R),
    Taken,
}

struct Shared<R> {
    /// The caller went away.
    gone: AtomicBool,
    state: Mutex<State<R>>,
}

/// The batch's half: answers once, and never not at all.
pub(crate) struct Reply<R: Unanswered>(Option<Arc<Shared<R>>>);

/// The caller's half.
pub(crate) struct Slot<R>(Arc<Shared<R>>);

pub(crate) fn slot<R: Unanswered>() -> (Reply<R>, Slot<R>) {
    let shared = Arc::new(Shared {
        gone: AtomicBool::new(false),
        state: Mutex::new(State::Empty(None)),
    });
    (Reply(Some(Arc::clone(&shared))), Slot(shared))
}

impl<R: Unanswered> Reply<R> {
    /// Whether nobody waits for the answer any more. It may become true at any
    /// later moment.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| shared.gone.load(Ordering::Relaxed))
    }

    pub(crate) fn send(mut self, result: R) {
        self.answer(result);
    }

    fn answer(&mut self, result: R) {
        let Some(shared) = self.0.take() else { return };
        let mut state = lock(&shared.state);
        let before = std::mem::replace(&mut *state, State::Done(result));
        drop(state);
        if let State::Empty(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<R: Unanswered> Drop for Reply<R> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.answer(R::unanswered());
        }
    }
}

impl<R> Drop for Slot<R> {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

impl<R> Slot<R> {
    /// Ready once; pending for ever afterwards.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<R> {
        let mut state = lock(&self.0.state);
        match &mut *state {
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => Poll::Ready(result),
                State::Empty(_) | State::Taken => Poll::Pending,
            },
            State::Empty(Some(waker)) if waker.will_wake(cx.waker()) => Poll::Pending,
            State::Empty(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Taken => Poll::Pending,
        }
    }
}
