//! SIGINT and SIGTERM ask for a graceful end; a second one ends at once.

use tokio_util::sync::CancellationToken;

use super::CliError;

/// The exit status of a process that a signal ended, by convention.
const INTERRUPTED: i32 = 130;

/// A token that the first signal cancels.
pub(super) fn shutdown() -> Result<CancellationToken, CliError> {
    let mut signals = Signals::listen().map_err(|source| CliError::Io {
        what: "cannot listen for signals",
        source,
    })?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    // Lives as long as the process: a second signal must work while the first is obeyed.
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; once more to stop at once");
        token.cancel();
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(shutdown)
}

/// SIGHUP, by which a server is asked to load its settings again.
#[cfg(unix)]
pub(super) struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next; for good where nobody listens.
    pub(super) async fn next(this: Option<&mut Self>) {
        if let Some(Self(signal)) = this
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(not(unix))]
pub(super) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(_this: Option<&mut Self>) {
        std::future::pending().await
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
