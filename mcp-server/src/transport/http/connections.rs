//! Connections: accepted up to a number, given a deadline for their headers, and closed at the end.

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::ServerHandler;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    entry::Entry,
    socket::Socket,
    stats::{Counters, Event},
};
use crate::config::HttpConfig;

/// How long the last bytes of answers and streams may take after everything was ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait when the operating system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From where a request came, in its extensions; it is not there where that is this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

impl Peer {
    fn of(address: IpAddr) -> Option<Self> {
        (!address.to_canonical().is_loopback()).then_some(Self(address))
    }
}

/// The connections that are still open once accepting has stopped.
pub(super) struct Connections {
    /// Tells each to take no further request.
    stopping: CancellationToken,
    tasks: TaskTracker,
    /// Ends the connections that only wait.
    hang_up: CancellationToken,
    /// Ends all.
    cut: CancellationToken,
    write_timeout: Duration,
    counters: Counters,
}

impl Connections {
    /// Accepts connections until `shutdown`, then tells the open ones to take no further request.
    pub(super) async fn accept<H: ServerHandler + Clone>(
        listener: TcpListener,
        entry: Entry<H>,
        config: &HttpConfig,
        counters: Counters,
        shutdown: &CancellationToken,
    ) -> Self {
        let this = Self {
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            hang_up: CancellationToken::new(),
            cut: CancellationToken::new(),
            write_timeout: config.write_timeout,
            counters,
        };
        let entry = Arc::new(entry);
        let room = Arc::new(Semaphore::new(config.connections_max.get()));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(config.header_bytes_max);
        loop {
            let next = async {
                let permit = room.clone().acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = shutdown.cancelled() => break,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    this.serve(&http, stream, &entry, Peer::of(peer.ip()), permit);
                }
                Err(error) => pause_after(&error).await,
            }
        }
        this
    }

    fn serve<H: ServerHandler + Clone, P: Send + 'static>(
        &self,
        http: &http1::Builder,
        stream: TcpStream,
        entry: &Arc<Entry<H>>,
        peer: Option<Peer>,
        permit: P,
    ) {
        // Without this, an answer in two writes waits 40 ms for a delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let (socket, blocked) = Socket::new(stream, self.write_timeout, self.counters.clone());
        let entry = entry.clone();
        let service = service_fn(move |request| {
            let entry = entry.clone();
            async move { Ok::<_, Infallible>(entry.answer(request, peer).await) }
        });
        let connection = http
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        let stopping = self.stopping.clone();
        let (hang_up, cut) = (self.hang_up.clone(), self.cut.clone());
        let only_waits = async move {
            hang_up.cancelled().await;
            if blocked.is_set() {
                cut.cancelled().await;
            }
        };
        let counters = self.counters.clone();
        counters.count(Event::Connection);
        self.tasks.spawn(async move {
            let _permit = permit;
            let mut connection = pin!(connection);
            let served = async {
                tokio::select! {
                    result = connection.as_mut() => return result,
                    () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                connection.await
            };
            tokio::select! {
                result = served => {
                    if let Err(error) = result {
                        if error.is_timeout() {
                            counters.count(Event::SlowHead);
                        }
                        tracing::debug!(%error, "a connection ended badly");
                    }
                }
                () = only_waits => {}
            }
            counters.count(Event::ConnectionClosed);
        });
    }

    /// Closes idle connections at once and each other one when it has sent what it is sending. A
    /// moment after `ended`, those that do not even begin to are hung up; at `deadline`, or a
    /// moment after `ended` if that is later, the rest is cut. `false` when there was a rest.
    pub(super) async fn close(self, ended: &CancellationToken, deadline: Instant) -> bool {
        self.tasks.close();
        let finished = async {
            self.stopping.cancel();
            self.tasks.wait().await;
        };
        let overdue = async {
            ended.cancelled().await;
            tokio::time::sleep(CLOSE_TIMEOUT).await;
            self.hang_up.cancel();
            tokio::time::sleep_until(deadline).await;
        };
        tokio::select! {
            biased;
            () = finished => true,
            () = overdue => {
                let connections = self.tasks.len();
                self.cut.cancel();
                self.tasks.wait().await;
                if connections > 0 {
                    tracing::warn!(connections, "cut clients that did not take their answers");
                }
                connections == 0
            }
        }
    }
}

async fn pause_after(error: &io::Error) {
    let is_the_clients = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !is_the_clients {
        tracing::error!(%error, "cannot accept connections; trying again");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
