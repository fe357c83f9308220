//! A connection that knows whether it was last listening or talking.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the server has written, or tried to, since the client last sent something.
#[derive(Debug, Clone, Default)]
pub(super) struct Talking(Arc<AtomicBool>);

impl Talking {
    /// Whether an answer may be under way. Where this is false the client's turn has not ended.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, talking: bool) {
        self.0.store(talking, Ordering::Relaxed);
    }
}

pin_project! {
    /// A stream that keeps its [`Talking`] up to date.
    pub(super) struct Watched<S> {
        #[pin]
        stream: S,
        talking: Talking,
    }
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, talking: Talking) -> Self {
        Self { stream, talking }
    }
}

impl<S: AsyncRead> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        let result = this.stream.poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.talking.set(false);
        }
        result
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        this.talking.set(true);
        this.stream.poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        this.talking.set(true);
        this.stream.poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }
}
