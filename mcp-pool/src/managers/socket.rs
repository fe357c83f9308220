//! A socket, and a second handle to look at it without reading.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

#[cfg(unix)]
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connection over TCP or, where there are some, a local socket.
#[derive(Debug)]
pub enum Socket {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    #[cfg(unix)]
    Unix(UnixStream),
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing has arrived.
    Nothing,
    /// Something that begins like this has arrived, and was not read yet.
    Byte(u8),
    /// The other side has ended it.
    End,
}

/// Looks at what has arrived at a socket whose driver has not read it yet:
/// the end of a connection shows here as soon as the machine knows of it.
#[derive(Debug)]
pub(crate) struct Probe {
    #[cfg(unix)]
    socket: OwnedFd,
}

impl Socket {
    pub(crate) async fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    #[cfg(unix)]
    pub(crate) async fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path).await?))
    }

    #[cfg(unix)]
    pub(crate) fn probe(&self) -> io::Result<Probe> {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd().try_clone_to_owned()?,
            Self::Unix(stream) => stream.as_fd().try_clone_to_owned()?,
        };
        Ok(Probe { socket })
    }

    #[cfg(not(unix))]
    pub(crate) fn probe(&self) -> io::Result<Probe> {
        Ok(Probe {})
    }
}

impl Probe {
    #[cfg(unix)]
    pub(crate) fn look(&self) -> Pending {
        use rustix::net::{RecvFlags, recv};
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.socket, &mut byte, flags) {
            Ok((0, _)) => Pending::End,
            Ok(_) => Pending::Byte(byte[0]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Pending::Nothing,
            Err(_) => Pending::End,
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn look(&self) -> Pending {
        Pending::Nothing
    }
}

/// Passes a call on to whichever it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
