//! Room in the queue, held until an item fills it.

#[cfg(feature = "tower")]
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::{Semaphore, TryAcquireError};

/// Room for some items; what is not filled goes back when it is dropped, even
/// by a panic.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    queue: &'a Semaphore,
    items: usize,
}

impl<'a> Room<'a> {
    /// The room that an item leaves which is taken out of the queue.
    pub(crate) fn of_one_gone(queue: &'a Semaphore) -> Self {
        Self { queue, items: 1 }
    }

    /// Room for one item, if there is any.
    pub(crate) fn try_one(queue: &'a Semaphore) -> Result<Self, TryAcquireError> {
        queue.try_acquire()?.forget();
        Ok(Self { queue, items: 1 })
    }

    /// Waits for room for one item, and takes what else there is, up to `most`.
    /// So a long list neither waits for more than one nor keeps room free that
    /// it does not fill. `None` if the queue is closed.
    pub(crate) async fn up_to(queue: &'a Semaphore, most: usize) -> Option<Self> {
        queue.acquire().await.ok()?.forget();
        let mut room = Self { queue, items: 1 };
        let more = queue.available_permits().min(most.saturating_sub(1));
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Ok(permits) = queue.try_acquire_many(more) {
            permits.forget();
            room.items += more as usize;
        }
        Some(room)
    }

    /// The room that a permit stands for.
    #[cfg(feature = "tower")]
    pub(crate) fn of_permit(queue: &'a Semaphore, permit: OwnedSemaphorePermit) -> Self {
        permit.forget();
        Self { queue, items: 1 }
    }

    /// How many items have room.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The items are in the queue: whoever takes them out gives their room back.
    pub(crate) fn fill(mut self) {
        self.items = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.queue.add_permits(self.items);
        }
    }
}
