//! Event streams whose events have a bound.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http_body::Body as _;
use mcp_pool::agent::Body;
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};

/// The events of a body, none of which may have more than `event_bytes_max` bytes.
pub(super) fn of(body: Body, event_bytes_max: usize) -> BoxStream<'static, Result<Sse, SseError>> {
    let bounded = Bounded {
        body,
        bound: Bound::new(event_bytes_max),
    };
    SseStream::from_bytes_stream(bounded).boxed()
}

struct Bounded {
    body: Body,
    bound: Bound,
}

/// Why a stream ends before its end.
#[derive(Debug)]
enum Broken {
    TooLarge(usize),
    Http(hyper::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes_max) => write!(f, "an event has more than {bytes_max} bytes"),
            Self::Http(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Broken {}

impl Stream for Bounded {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Http(error)))),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let bytes_max = self.bound.bytes_max;
            return Poll::Ready(Some(match self.bound.holds(&data) {
                true => Ok(data),
                false => Err(Broken::TooLarge(bytes_max)),
            }));
        }
    }
}

/// Counts the bytes since the last end of an event, which is an empty line.
struct Bound {
    bytes_max: usize,
    bytes: usize,
    line_is_empty: bool,
}

impl Bound {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            line_is_empty: true,
        }
    }

    /// Whether the events are within the bound, with these bytes.
    fn holds(&mut self, data: &[u8]) -> bool {
        for byte in data {
            self.bytes += 1;
            match byte {
                b'\n' if self.line_is_empty => self.bytes = 0,
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
            if self.bytes > self.bytes_max {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;

    #[test]
    fn each_event_has_the_bound_to_itself() {
        let check = |chunks: &[&str], expect: bool| {
            let mut bound = Bound::new(10);
            let held = chunks.iter().all(|chunk| bound.holds(chunk.as_bytes()));
            assert_eq!(held, expect, "{chunks:?}");
        };
        check(&["data: abc\n", "\n", "data: d\n\ndata: e\n\n"], true);
        check(&["data: a\r\n\r\n", "data: b\r\n\r\n"], true);
        check(&[": ping\n\n", ": ping\n\n", ": ping\n\n"], true);
        check(&["data: abcd", "efgh"], false);
        check(&["a\nb\nc\nd\ne\nf\n"], false);
    }
}
