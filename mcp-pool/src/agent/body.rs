//! The body of a response, which holds its connection until it has been read.

use super::Connector;
use crate::{lease::Lease, streams::Stream};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A response's body. Reading it to the end frees the connection; dropping it
/// before closes an HTTP/1 connection, and resets the exchange of an HTTP/2
/// one.
pub struct Body {
    incoming: Incoming,
    held: Held,
}

enum Held {
    /// Retired, until the end of the body shows that it can be used again.
    Exclusive {
        lease: Lease<'static, Connector>,
        reusable: bool,
    },
    Shared(#[expect(dead_code, reason = "held until the body is done")] Stream<Connector>),
    Done,
}

impl Body {
    pub(super) fn exclusive(
        incoming: Incoming,
        lease: Lease<'static, Connector>,
        reusable: bool,
    ) -> Self {
        let held = Held::Exclusive { lease, reusable };
        let mut body = Self { incoming, held };
        if http_body::Body::is_end_stream(&body.incoming) {
            body.end();
        }
        body
    }

    pub(super) fn shared(incoming: Incoming, stream: Stream<Connector>) -> Self {
        Self {
            incoming,
            held: Held::Shared(stream),
        }
    }

    /// All of it has been read.
    fn end(&mut self) {
        if let Held::Exclusive {
            mut lease,
            reusable,
        } = std::mem::replace(&mut self.held, Held::Done)
            && reusable
        {
            lease.keep();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            None => self.end(),
            Some(Ok(_)) if self.incoming.is_end_stream() => self.end(),
            // The connection is closed when the body is dropped.
            Some(_) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}
