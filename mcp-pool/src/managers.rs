//! Managers for common connections, each behind a feature.

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "redis")]
pub mod redis;

#[cfg(any(feature = "postgres", feature = "redis"))]
mod socket;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub use socket::Socket;

/// A task that drives a connection; it ends with its connection.
#[cfg(any(feature = "http", feature = "postgres", feature = "redis"))]
#[derive(Debug)]
pub(crate) struct Driver(tokio::task::JoinHandle<()>);

#[cfg(any(feature = "http", feature = "postgres", feature = "redis"))]
impl Driver {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    /// It ends when the transport does.
    pub(crate) fn is_running(&self) -> bool {
        !self.0.is_finished()
    }

    /// Until what is still to be said is said.
    #[cfg(feature = "postgres")]
    pub(crate) async fn finish(mut self) {
        // How it ended matters to nobody any more.
        let _ = (&mut self.0).await;
    }
}

#[cfg(any(feature = "http", feature = "postgres", feature = "redis"))]
impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
