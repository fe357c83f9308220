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
    pub(super) fn start(&self, id: RequestId) {
        self.lock().insert(id);
    }

    /// The request was answered, or was cancelled and will not be.
    pub(super) fn finish(&self, id: &RequestId) {
        if self.lock().remove(id) {
            self.answered.notify_waiters();
        }
    }

    /// Waits until fewer than `count` requests are at work. Cancel safe.
    pub(super) async fn fewer_than(&self, count: usize) {
        loop {
            let answered = self.answered.notified();
            if self.lock().len() < count {
                return;
            }
            answered.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
