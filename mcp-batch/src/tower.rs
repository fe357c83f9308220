//! A processor as a [`tower` service](tower_service::Service).

use crate::{BatchProcessor, Error, room::Room};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tower_service::Service;

/// The future of one item.
pub type BatchFuture<O, E> = Pin<Box<dyn Future<Output = Result<O, Error<E>>> + Send>>;

/// Never locked: the mutex makes the service `Sync`, which servers ask for.
type Waiting =
    Mutex<Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>>;

/// Submits each request as an item. It is ready when there is room in the
/// queue, which it keeps until it is called; so a full queue is back-pressure
/// here, whatever [`Config::overflow`](crate::Config::overflow) says.
pub struct BatchService<T, O, E> {
    processor: BatchProcessor<T, O, E>,
    waiting: Option<Waiting>,
    room: Option<OwnedSemaphorePermit>,
}

impl<T, O, E> BatchService<T, O, E> {
    /// A service in front of `processor`.
    #[must_use]
    pub fn new(processor: BatchProcessor<T, O, E>) -> Self {
        Self {
            processor,
            waiting: None,
            room: None,
        }
    }

    /// The processor.
    pub fn processor(&self) -> &BatchProcessor<T, O, E> {
        &self.processor
    }
}

impl<T, O, E> Service<T> for BatchService<T, O, E>
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    type Response = O;
    type Error = Error<E>;
    type Future = BatchFuture<O, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.room.is_some() {
            return Poll::Ready(Ok(()));
        }
        let inner = &self.processor.0;
        let waiting = self.waiting.get_or_insert_with(|| {
            // What nobody waits for makes room first, if there is none.
            drop(inner.try_room());
            Mutex::new(Box::pin(Arc::clone(&inner.room).acquire_owned()))
        });
        let waiting = waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        let room = std::task::ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        self.room = Some(room.map_err(|_| Error::Closed)?);
        Poll::Ready(Ok(()))
    }

    /// Without room (a caller that skipped `poll_ready`) it answers
    /// [`Error::Overloaded`].
    fn call(&mut self, item: T) -> Self::Future {
        let inner = &self.processor.0;
        let ticket = match self.room.take() {
            Some(permit) => {
                let item = inner.measure(item);
                let room = Room::of_permit(&inner.room, permit);
                inner.enqueue(item, room)
            }
            None => Err(inner.refuse()),
        };
        Box::pin(async move { ticket?.await })
    }
}

/// A clone keeps no room and waits for its own.
impl<T, O, E> Clone for BatchService<T, O, E> {
    fn clone(&self) -> Self {
        Self::new(self.processor.clone())
    }
}

impl<T, O, E> fmt::Debug for BatchService<T, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchService")
            .field("processor", &self.processor)
            .finish_non_exhaustive()
    }
}
