//! A body that ends when something happens.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;

pin_project! {
    /// A body that ends, as if it were whole, when `end` is ready.
    pub(super) struct Ending<B, F> {
        #[pin]
        body: B,
        #[pin]
        end: F,
        ended: bool,
    }
}

impl<B, F> Ending<B, F> {
    pub(super) fn new(body: B, end: F) -> Self {
        Self {
            body,
            end,
            ended: false,
        }
    }
}

impl<B: HttpBody, F: Future<Output = ()>> HttpBody for Ending<B, F> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if !*this.ended && this.end.poll(context).is_ready() {
            *this.ended = true;
        }
        match this.ended {
            true => Poll::Ready(None),
            false => this.body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
