//! A stream as server-sent events, the form in which MCP's streamable HTTP
//! transport sends it: every event with its id, comments while nothing comes,
//! and an event of its own for what is missing.

use crate::{ConfigError, Event, Rx, config::check_time};
use bytes::Bytes;
use http_body::Frame;
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

mod frame;

use frame::Framed;

/// The media type of the body.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// A line that is no event.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// What an [`SseBody`] can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SseConfig {
    /// How long a client should wait before it connects again, told once at the
    /// beginning. Default `3s`; `None` tells nothing.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub retry: Option<Duration>,
    /// After how long without anything else a comment is sent, so that nothing
    /// between here and the client takes the connection for dead, and a dead one
    /// is found out. Default `15s`; `None` sends none.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub keep_alive: Option<Duration>,
    /// Whether the body begins with an event that has only an id, from which a
    /// client can resume before it has seen anything else. Default false:
    /// clients from before protocol revision 2025-11-25 take it for a broken
    /// message.
    pub priming: bool,
}

impl Default for SseConfig {
    fn default() -> Self {
        Self {
            retry: Some(Duration::from_secs(3)),
            keep_alive: Some(Duration::from_secs(15)),
            priming: false,
        }
    }
}

impl SseConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.retry
            .map_or(Ok(()), |time| check_time(time, "retry"))?;
        self.keep_alive
            .map_or(Ok(()), |time| check_time(time, "keep_alive"))
    }
}

/// A body of server-sent events. Message events have no name. What cannot be a
/// message has one: `gap` with `{"missed":3}` where events are missing, `end`
/// with `{"reason":"stalled"}` where the stream ended before it was whole; a
/// whole one just ends.
///
/// A payload of 4 KiB or more is not copied, but for runs of lines below 512
/// bytes, some KiB at a time: each line break begins a new line of data.
pub struct SseBody {
    rx: Rx,
    head: Option<Bytes>,
    framed: Framed,
    keep_alive: Option<Duration>,
    /// Made when there is first something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Something was sent since the timer was set.
    has_sent: bool,
}

impl SseBody {
    /// The stream as a body.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    pub fn new(rx: Rx, config: &SseConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let priming = config.priming.then(|| rx.position());
        Ok(Self {
            head: frame::head(config.retry, priming),
            rx,
            framed: Framed::default(),
            keep_alive: config.keep_alive,
            timer: None,
            has_sent: true,
        })
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.head.take().or_else(|| self.framed.next()) {
            return Poll::Ready(Some(bytes));
        }
        match self.rx.poll_event(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(event)) => {
                self.has_sent = true;
                self.framed = match event {
                    Event::Message { id, data } => frame::message(&id, data),
                    Event::Gap { missed } => frame::gap(missed),
                    Event::Ended(reason) => frame::end(reason),
                };
                Poll::Ready(self.framed.next())
            }
            Poll::Pending => self.poll_comment(cx).map(Some),
        }
    }

    fn poll_comment(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(every) = self.keep_alive else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(every)));
        if std::mem::take(&mut self.has_sent) {
            timer.as_mut().reset(Instant::now() + every);
        }
        ready!(timer.as_mut().poll(cx));
        self.has_sent = true;
        Poll::Ready(COMMENT)
    }
}

impl http_body::Body for SseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_bytes(cx)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.framed.is_empty() && self.rx.is_over()
    }
}

impl fmt::Debug for SseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseBody")
            .field("rx", &self.rx)
            .finish_non_exhaustive()
    }
}
