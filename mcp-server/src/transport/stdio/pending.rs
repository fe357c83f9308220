//! Requests that were read and not answered yet.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use rmcp::model::RequestId;
use tokio::sync::Notify;

/// The ids of requests at work.
#[derive(Debug, Default)]
pub(super) struct Pending {
    ids: Mutex<HashSet<RequestId>>,
    answered: Notify,
}

impl Pending {
    /// Counts a request in, unless `max` are at work already.
    #[must_use]
    pub(super) fn start(&self, id: RequestId, max: usize) -> bool {
        let mut ids = self.lock();
        let room = ids.len() < max || ids.contains(&id);
        if room {
            ids.insert(id);
        }
        room
    }

    /// Whether a request of this id is at work.
    pub(super) fn has(&self, id: &RequestId) -> bool {
        self.lock().contains(id)
    }

    /// The request was answered, or was cancelled and will not be.
    pub(super) fn finish(&self, id: &RequestId) {
        if self.lock().remove(id) {
            self.answered.notify_waiters();
        }
    }

    /// Waits until no request is at work. Cancel safe.
    pub(super) async fn drained(&self) {
        loop {
            let answered = self.answered.notified();
            if self.lock().is_empty() {
                return;
            }
            answered.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;

    fn id(id: i64) -> RequestId {
        RequestId::Number(id)
    }

    #[test]
    fn a_place_is_free_again_after_the_answer() {
        let pending = Pending::default();
        assert!(pending.start(id(1), 2));
        assert!(pending.start(id(2), 2));
        assert!(!pending.start(id(3), 2));
        pending.finish(&id(3));
        assert!(!pending.start(id(3), 2), "a refused request held no place");
        pending.finish(&id(1));
        assert!(pending.start(id(3), 2));
    }

    #[tokio::test]
    async fn drained_waits_for_the_last_answer() {
        let pending = Pending::default();
        pending.drained().await;
        for n in 1..=2 {
            assert!(pending.start(id(n), 9));
        }
        let mut drained = pin!(pending.drained());
        let mut poll =
            async || std::future::poll_fn(|cx| Poll::Ready(drained.as_mut().poll(cx))).await;
        assert!(poll().await.is_pending());
        pending.finish(&id(1));
        assert!(poll().await.is_pending());
        // Somebody who gave up waiting takes nobody's wake-up away.
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, pending.drained())
                .await
                .is_err()
        );
        pending.finish(&id(2));
        assert!(poll().await.is_ready());
    }
}
