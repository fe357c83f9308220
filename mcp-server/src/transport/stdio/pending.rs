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
        let room = ids.len() < max;
        if room {
            ids.insert(id);
        }
        room
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
