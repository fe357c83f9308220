//! The owner of everything that runs in the background.

use crate::sync::{Mutex, lock};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

/// Tasks that end with the last handle of their cache.
#[derive(Debug)]
pub(crate) struct Tasks {
    permits: Arc<Semaphore>,
    /// `None` once closed.
    loads: Mutex<Option<JoinSet<()>>>,
    sweep: Option<AbortHandle>,
}

/// Room for one load, and where it runs.
pub(crate) type Room = (OwnedSemaphorePermit, Handle);

impl Tasks {
    pub(crate) fn new(loads_max: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(loads_max)),
            loads: Mutex::new(Some(JoinSet::new())),
            sweep: None,
        }
    }

    /// Room for one more load; none without a runtime.
    pub(crate) fn permit(&self) -> Option<Room> {
        let runtime = Handle::try_current().ok()?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some((permit, runtime))
    }

    /// Runs a load, or drops it if this was closed since its room was found.
    pub(crate) fn spawn(
        &self,
        (permit, runtime): Room,
        load: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut loads = lock(&self.loads);
        let Some(loads) = loads.as_mut() else { return };
        while loads.try_join_next().is_some() {}
        let guarded = async move {
            load.await;
            drop(permit);
        };
        loads.spawn_on(guarded, &runtime);
    }

    /// Takes the sweep, which runs beside the loads; without a runtime there is
    /// none.
    pub(crate) fn sweep(&mut self, sweep: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.sweep = Some(runtime.spawn(sweep).abort_handle());
        }
    }

    /// Starts nothing more, waits for what runs, and drops what is left after
    /// `grace`; how much that was.
    pub(crate) async fn close(&self, grace: Duration) -> usize {
        self.permits.close();
        self.stop_sweep();
        let Some(mut loads) = lock(&self.loads).take() else {
            return 0;
        };
        let all = async { while loads.join_next().await.is_some() {} };
        match timeout(grace, all).await {
            Ok(()) => 0,
            Err(_) => {
                let left = loads.len();
                loads.shutdown().await;
                left
            }
        }
    }

    fn stop_sweep(&self) {
        if let Some(sweep) = &self.sweep {
            sweep.abort();
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop_sweep();
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The room was found before the close, and is used after it.
    #[tokio::test]
    async fn nothing_begins_after_a_close() {
        let (tasks, ran) = (Tasks::new(1), Arc::new(AtomicBool::new(false)));
        let room = tasks.permit().expect("room");
        assert_eq!(tasks.close(Duration::ZERO).await, 0);
        let other = Arc::clone(&ran);
        tasks.spawn(room, async move { other.store(true, Ordering::Relaxed) });
        tokio::task::yield_now().await;
        assert!(!ran.load(Ordering::Relaxed));
        assert!(tasks.permit().is_none());
        assert_eq!(tasks.close(Duration::ZERO).await, 0, "again");
    }
}
