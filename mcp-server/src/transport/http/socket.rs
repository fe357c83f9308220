//! A socket that knows whether its peer has stopped reading, and for how long.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::stats::{Counters, Event};

/// Bytes of an answer that a client must take each second, once it has let some lie.
const SLOWEST: f64 = 4.0 * 1024.0;

/// Whether bytes wait for the peer to take them.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocked(Arc<AtomicBool>);

impl Blocked {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.0.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

/// A [`TcpStream`] that keeps a [`Blocked`] up to date, and fails when its peer has left what is
/// sent to it lying for too long.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    blocked: Blocked,
    patience: Duration,
    /// Since the peer has not taken all that it was sent.
    backlog: Option<Backlog>,
    counters: Counters,
}

#[derive(Debug)]
struct Backlog {
    judged: Pin<Box<Sleep>>,
    /// Bytes since it was last judged.
    taken: u64,
}

impl Socket {
    /// `patience`: how long the peer may take less than [`SLOWEST`].
    pub(super) fn new(
        stream: TcpStream,
        patience: Duration,
        counters: Counters,
    ) -> (Self, Blocked) {
        let blocked = Blocked::default();
        let socket = Self {
            stream,
            blocked: blocked.clone(),
            patience,
            backlog: None,
            counters,
        };
        (socket, blocked)
    }

    /// Looks at what became of sending `len` bytes.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let written = self.blocked.note(written);
        match &written {
            Poll::Ready(Ok(taken)) if *taken < len => self.backlog().taken += *taken as u64,
            Poll::Ready(_) => self.backlog = None,
            Poll::Pending => return self.wait(context),
        }
        written
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let patience = self.patience;
        let backlog = self.backlog();
        while backlog.judged.as_mut().poll(context).is_ready() {
            if (backlog.taken as f64) < SLOWEST * patience.as_secs_f64() {
                self.counters.count(Event::SlowReader);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            backlog.taken = 0;
            backlog.judged.as_mut().reset(Instant::now() + patience);
        }
        Poll::Pending
    }

    fn backlog(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_with(|| Backlog {
            judged: Box::pin(tokio::time::sleep(self.patience)),
            taken: 0,
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        let len = bytes.iter().map(|part| part.len()).sum();
        self.judge(context, written, len)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
