//! Connections: accepted up to a number, given a deadline for their headers, and closed at the end.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::watched::{Talking, Watched};
use crate::config::HttpConfig;

/// How long the last bytes of answers and streams may take after everything was ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait when the operating system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections that are still open once accepting has stopped.
pub(super) struct Connections {
    graceful: GracefulShutdown,
    tasks: TaskTracker,
    /// Ends those that are not being answered.
    hush: CancellationToken,
    /// Ends all.
    cut: CancellationToken,
}

impl Connections {
    /// Accepts connections until `shutdown`, then tells the open ones to take no further request.
    pub(super) async fn accept(
        listener: TcpListener,
        router: Router,
        config: &HttpConfig,
        shutdown: &CancellationToken,
    ) -> Self {
        let this = Self {
            graceful: GracefulShutdown::new(),
            tasks: TaskTracker::new(),
            hush: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let room = Arc::new(Semaphore::new(config.connections_max.get()));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout);
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
                Ok((stream, _)) => this.serve(&http, stream, router.clone(), permit),
                Err(error) => pause_after(&error).await,
            }
        }
        this
    }

    fn serve<P: Send + 'static>(
        &self,
        http: &http1::Builder,
        stream: TcpStream,
        router: Router,
        permit: P,
    ) {
        // Without this, an answer in two writes waits 40 ms for a delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let talking = Talking::default();
        let stream = TokioIo::new(Watched::new(stream, talking.clone()));
        let connection = http.serve_connection(stream, TowerToHyperService::new(router));
        let connection = self.graceful.watch(connection);
        let (hush, cut) = (self.hush.clone(), self.cut.clone());
        let unanswered = async move {
            hush.cancelled().await;
            if talking.get() {
                std::future::pending::<()>().await;
            }
        };
        self.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                result = connection => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                }
                () = unanswered => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// Closes idle connections at once and each other one when it has sent what it is sending. A
    /// moment after `ended` those that are not being answered are cut, such as one whose request
    /// never became whole; at `deadline` all others: `false` when there were any.
    pub(super) async fn close(self, ended: &CancellationToken, deadline: Instant) -> bool {
        self.tasks.close();
        let finished = async {
            self.graceful.shutdown().await;
            self.tasks.wait().await;
        };
        let overdue = async {
            ended.cancelled().await;
            let moment = Instant::now() + CLOSE_TIMEOUT;
            tokio::time::sleep_until(moment).await;
            self.hush.cancel();
            tokio::time::sleep_until(deadline).await;
        };
        tokio::select! {
            biased;
            () = finished => true,
            () = overdue => {
                tracing::warn!(connections = self.tasks.len(), "cut connections that did not end");
                self.cut.cancel();
                self.tasks.wait().await;
                false
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
