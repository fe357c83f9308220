//! The writer's end of a stream.

use crate::{
    EndReason, EventId, Scope, SendError, SlowConsumer, StreamStats, core::plain, line::Ticket,
    permit::Permit, ring::Slot, stream::Stream,
};
use bytes::Bytes;
use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};
use tokio::time::Instant;

/// The writer's end of a stream. Clones write to the same stream.
///
/// A payload counts by its length. If it is a small part of a large buffer,
/// copy it ([`Bytes::copy_from_slice`]): it keeps the whole buffer alive.
///
/// The stream is whole only after [`finish`](Self::finish). If the last writer
/// is dropped before, its reader gets what was sent, and then
/// [`EndReason::WriterLost`].
pub struct Tx {
    pub(crate) stream: Arc<Stream>,
}

impl Tx {
    /// The first writer, which the core counts already.
    pub(crate) fn first(stream: &Arc<Stream>) -> Self {
        Self {
            stream: Arc::clone(stream),
        }
    }

    /// Sends an event; without room it does what
    /// [`StreamConfig::slow_consumer`](crate::StreamConfig::slow_consumer) says.
    ///
    /// # Errors
    /// The event was not taken in, and why.
    ///
    /// # Cancel safety
    /// A dropped future leaves no event, and gives its turn to the next writer.
    pub async fn send(&self, data: impl Into<Bytes>) -> Result<EventId, SendError> {
        let mut event = Some(plain(data.into()));
        match self.try_push(&mut event) {
            Err(error) => self.wait_to_push(event, error).await,
            sent => sent,
        }
    }

    /// Sends an event that, under [`SlowConsumer::Coalesce`], takes the place
    /// and the id of the unread event with the same key. Under other policies
    /// the key does nothing.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_keyed(
        &self,
        key: impl Into<Arc<str>>,
        data: impl Into<Bytes>,
    ) -> Result<EventId, SendError> {
        let mut event = Some(self.keyed(key, data));
        match self.try_push(&mut event) {
            Err(error) => self.wait_to_push(event, error).await,
            sent => sent,
        }
    }

    /// Sends an event if there is room now.
    ///
    /// # Errors
    /// The event was not taken in, and why.
    pub fn try_send(&self, data: impl Into<Bytes>) -> Result<EventId, SendError> {
        self.try_push(&mut Some(plain(data.into())))
    }

    /// Like [`send_keyed`](Self::send_keyed), if there is room now.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_keyed(
        &self,
        key: impl Into<Arc<str>>,
        data: impl Into<Bytes>,
    ) -> Result<EventId, SendError> {
        self.try_push(&mut Some(self.keyed(key, data)))
    }

    /// Keeps room for an event of `len` bytes, so that sending it cannot wait.
    /// It waits for the room as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn reserve(&self, len: usize) -> Result<Permit<'_>, SendError> {
        let permit = Permit::new(self, len);
        let weight = permit.weight();
        let first = self
            .stream
            .with(|core, cx, after| core.try_reserve(weight, cx, after));
        if let Err(error) = first {
            let mut wait = Wait::new(&self.stream);
            wait.until(error, |stream, ticket, waker| {
                stream.with(|core, cx, after| core.poll_reserve(weight, ticket, waker, cx, after))
            })
            .await?;
        }
        Ok(permit.granted())
    }

    /// Keeps room for an event of `len` bytes if it is there now.
    ///
    /// # Errors
    /// There is no room, or the stream has ended.
    pub fn try_reserve(&self, len: usize) -> Result<Permit<'_>, SendError> {
        let permit = Permit::new(self, len);
        let weight = permit.weight();
        self.stream
            .with(|core, cx, after| core.try_reserve(weight, cx, after))?;
        Ok(permit.granted())
    }

    /// The stream is whole: its reader gets what was sent, and then the end.
    /// Nothing can be sent from now on.
    pub fn finish(&self) {
        self.stream.end(EndReason::Finished);
    }

    /// Whether and why the stream has ended.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        self.stream.summary().end
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.stream.stats()
    }

    fn keyed(&self, key: impl Into<Arc<str>>, data: impl Into<Bytes>) -> Slot {
        let coalesces = matches!(
            self.stream.config.slow_consumer,
            SlowConsumer::Coalesce { .. }
        );
        Slot {
            data: data.into(),
            key: coalesces.then(|| key.into()),
        }
    }

    #[inline]
    fn try_push(&self, event: &mut Option<Slot>) -> Result<EventId, SendError> {
        let pushed = match self.stream.try_push(event) {
            // The session's other streams have made room by now, if they could.
            Err(SendError::Exhausted(exhausted)) if exhausted.scope == Scope::Session => {
                self.stream.try_push(event)
            }
            pushed => pushed,
        };
        pushed.map(|seq| self.stream.event_id(seq))
    }

    /// What becomes of an event that was refused with `error`.
    async fn wait_to_push(
        &self,
        mut event: Option<Slot>,
        error: SendError,
    ) -> Result<EventId, SendError> {
        let mut wait = Wait::new(&self.stream);
        let seq = wait
            .until(error, |stream, ticket, waker| {
                stream.with(|core, cx, after| core.poll_push(&mut event, ticket, waker, cx, after))
            })
            .await?;
        Ok(self.stream.event_id(seq))
    }
}

/// A writer's wait for room; dropping it gives its place up.
struct Wait<'a> {
    stream: &'a Stream,
    ticket: Option<Ticket>,
}

impl<'a> Wait<'a> {
    fn new(stream: &'a Stream) -> Self {
        Self {
            stream,
            ticket: None,
        }
    }

    /// Polls `step` until it is ready, for as long as the policy waits after the
    /// refusal `error`.
    async fn until<T>(
        &mut self,
        error: SendError,
        mut step: impl FnMut(&Stream, &mut Option<Ticket>, &Waker) -> Poll<Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let (SlowConsumer::Wait { at_most } | SlowConsumer::Coalesce { at_most }) =
            self.stream.config.slow_consumer
        else {
            return Err(error);
        };
        let SendError::Exhausted(exhausted) = error else {
            return Err(error);
        };
        let start = Instant::now();
        let ready = poll_fn(|cx| step(self.stream, &mut self.ticket, cx.waker()));
        match tokio::time::timeout(at_most, ready).await {
            Ok(result) => result,
            Err(_) => Err(SendError::Stalled {
                waited: start.elapsed(),
                exhausted,
            }),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.stream
                .with(|core, cx, after| core.leave(ticket, cx, after));
        }
    }
}

impl Clone for Tx {
    fn clone(&self) -> Self {
        self.stream.with(|core, _, _| core.add_writer());
        Self {
            stream: Arc::clone(&self.stream),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        self.stream
            .with(|core, cx, after| core.drop_writer(cx, after));
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next_id = self.stats().next_id;
        f.debug_struct("Tx")
            .field("next_id", &next_id)
            .finish_non_exhaustive()
    }
}
