//! The reader's end of a stream.

use crate::{
    EndReason, Event, Interrupted, StreamStats,
    core::{Got, Pulled},
    stream::Stream,
};
use bytes::Bytes;
use http_body::Frame;
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The reader's end of a stream, as a [`Stream`](futures_core::Stream) of
/// [`Event`]s or as an [`http_body::Body`] of their payloads.
///
/// It takes a few events at once, and they count as held until it comes back
/// for more. When it is dropped, what it took and did not pass on is unread
/// again.
pub struct Rx {
    stream: Arc<Stream>,
    generation: u32,
    batch: VecDeque<Got>,
    ended: bool,
}

impl Rx {
    /// The first reader, which the core knows already.
    pub(crate) fn first(stream: Arc<Stream>) -> Self {
        Self::new(stream, 0)
    }

    pub(crate) fn new(stream: Arc<Stream>, generation: u32) -> Self {
        Self {
            stream,
            generation,
            batch: VecDeque::new(),
            ended: false,
        }
    }

    /// The next event; `None` after the end.
    ///
    /// # Cancel safety
    /// A dropped future has taken nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event, if there is one now: `None` says that there is none yet,
    /// or that the stream is over, which [`is_over`](Self::is_over) tells apart.
    pub fn try_next(&mut self) -> Option<Event> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.poll_event(&mut cx) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// The counters of the stream at this moment.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.stream.stats()
    }

    /// The id of the event before the next one.
    #[cfg(feature = "sse")]
    pub(crate) fn position(&self) -> crate::EventId {
        let taken = self.stream.with(|core, _, _| core.position());
        let in_batch = self
            .batch
            .iter()
            .filter(|got| matches!(got, Got::Message { .. }));
        self.stream.event_id(taken - in_batch.count() as u64)
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.stream.is_replaced(self.generation) {
            // The newer reader reads these again.
            self.batch.clear();
        }
        if self.batch.is_empty() {
            let (generation, batch) = (self.generation, &mut self.batch);
            let pulled = self
                .stream
                .with(|core, world, after| core.pull(generation, batch, cx.waker(), world, after));
            match pulled {
                Pulled::Some => {}
                Pulled::Pending => return Poll::Pending,
                Pulled::Ended(reason) => return Poll::Ready(self.end(reason)),
            }
        }
        Poll::Ready(self.batch.pop_front().map(|got| self.event(got)))
    }

    fn event(&self, got: Got) -> Event {
        match got {
            Got::Message { seq, data } => Event::Message {
                id: self.stream.event_id(seq),
                data,
            },
            Got::Gap { missed } => Event::Gap { missed },
        }
    }

    fn end(&mut self, reason: EndReason) -> Option<Event> {
        self.ended = true;
        (reason != EndReason::Finished).then_some(Event::Ended(reason))
    }
}

impl futures_core::Stream for Rx {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(cx)
    }
}

/// The payloads, one after the other. A gap and an end before the stream is
/// whole are errors, which an HTTP server answers by cutting the connection: a
/// client cannot take what it has for the whole.
impl http_body::Body for Rx {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        self.poll_event(cx).map(|event| {
            event.map(|event| match event {
                Event::Message { data, .. } => Ok(Frame::data(data)),
                Event::Gap { missed } => Err(Interrupted::Gap { missed }),
                Event::Ended(reason) => Err(Interrupted::Ended(reason)),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Drop for Rx {
    fn drop(&mut self) {
        let generation = self.generation;
        // What is in the batch goes first: it is unread again from then on.
        self.batch.clear();
        self.stream
            .with(|core, cx, after| core.detach(generation, cx, after));
    }
}

impl fmt::Debug for Rx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rx")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
