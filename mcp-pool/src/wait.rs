//! A checkout: the one place where a caller waits.

use crate::{
    error::Error,
    handoff::Handoff,
    lease::{Lease, Owner},
    manager::Manager,
    queue::Key,
    state::{Answer, Entered, Place},
    sync::Arc,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Waits for a connection; leaves the queue when it is dropped, and passes on
/// what it was given at that moment.
pub(crate) struct Wait<'a, M: Manager> {
    /// `None` once it has an answer.
    owner: Option<Owner<'a, M>>,
    limit_ns: u64,
    queued: Option<Queued<M>>,
}

struct Queued<M: Manager> {
    place: Place<M::Connection>,
    key: Key,
    since_ns: u64,
}

impl<'a, M: Manager> Wait<'a, M> {
    pub(crate) fn new(owner: Owner<'a, M>, limit_ns: u64) -> Self {
        Self {
            owner: Some(owner),
            limit_ns,
            queued: None,
        }
    }

    /// Has an answer at once, or joins the queue.
    fn enter(&mut self, waker: &Waker) -> Option<Answer<M::Connection>> {
        let shared = self.owner.as_ref()?.shared();
        if !shared.core.is_busy()
            && let Some(slot) = shared.lend()
        {
            return Some(Ok(slot));
        }
        let place = Arc::new(Handoff::new(waker.clone()));
        let since_ns = shared.now_ns();
        loop {
            let (entered, todo) = shared.core.enter(&place, self.limit_ns, since_ns);
            if let Some(todo) = todo {
                shared.act(todo);
            }
            match entered {
                Entered::Refused(error) => return Some(Err(error)),
                Entered::Queued(key) => {
                    self.queued = Some(Queued {
                        place,
                        key,
                        since_ns,
                    });
                    return None;
                }
                Entered::Lent(slot) => {
                    if let Some(slot) = shared.open_or_retire(slot) {
                        return Some(Ok(slot));
                    }
                }
            }
        }
    }
}

impl<'a, M: Manager> Future for Wait<'a, M> {
    type Output = Result<Lease<'a, M>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.queued.is_none()
            && let Some(answer) = this.enter(cx.waker())
        {
            return Poll::Ready(this.end(answer));
        }
        let Some(queued) = &this.queued else {
            // Polled again after it had an answer.
            return Poll::Pending;
        };
        let Poll::Ready(answer) = queued.place.poll(cx) else {
            return Poll::Pending;
        };
        if let (Ok(_), Some(owner)) = (&answer, &this.owner) {
            let shared = owner.shared();
            let waited_ns = shared.now_ns().saturating_sub(queued.since_ns);
            shared.waits.add(waited_ns);
        }
        this.queued = None;
        Poll::Ready(this.end(answer))
    }
}

impl<'a, M: Manager> Wait<'a, M> {
    fn end(&mut self, answer: Answer<M::Connection>) -> Result<Lease<'a, M>, Error> {
        match (answer, self.owner.take()) {
            (Ok(slot), Some(owner)) => Ok(Lease::new(owner, slot)),
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(Error::Closed),
        }
    }
}

impl<M: Manager> Drop for Wait<'_, M> {
    fn drop(&mut self) {
        let (Some(queued), Some(owner)) = (self.queued.take(), &self.owner) else {
            return;
        };
        let shared = owner.shared();
        match queued.place.leave() {
            Some(Ok(slot)) => shared.not_taken(slot),
            Some(Err(_)) => {}
            None => shared.core.lock().leave(queued.key),
        }
    }
}
