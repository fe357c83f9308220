//! The timer that ends an open life, so that refusing a call reads no clock.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{runtime::Handle, task::AbortHandle};

/// At most one sleeping task. Without a runtime, or once its runtime is gone,
/// the alarm is not set and callers look at the clock themselves.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// The number of the task that will ring, or 0.
    set: Arc<AtomicU64>,
    task: std::sync::Mutex<Task>,
}

#[derive(Debug, Default)]
struct Task {
    number: u64,
    handle: Option<AbortHandle>,
}

impl Alarm {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed) != 0
    }

    /// Replaces the sleeping task by `sleep`.
    pub(crate) fn set(&self, sleep: impl Future<Output = ()> + Send + 'static) {
        let mut task = self
            .task
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = task.handle.take() {
            old.abort();
        }
        task.number += 1;
        let number = task.number;
        let Ok(runtime) = Handle::try_current() else {
            self.set.store(0, Ordering::Relaxed);
            return;
        };
        self.set.store(number, Ordering::Relaxed);
        let unset = Unset {
            set: Arc::clone(&self.set),
            number,
        };
        let handle = runtime.spawn(async move {
            let _unset = unset;
            sleep.await;
        });
        task.handle = Some(handle.abort_handle());
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let task = self
            .task
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(handle) = task.handle.take() {
            handle.abort();
        }
    }
}

/// Says that nobody will ring, also when a runtime drops the task at its end.
#[derive(Debug)]
struct Unset {
    set: Arc<AtomicU64>,
    number: u64,
}

impl Drop for Unset {
    fn drop(&mut self) {
        let _ = self
            .set
            .compare_exchange(self.number, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_a_runtime_it_is_not_set() {
        let alarm = Alarm::default();
        alarm.set(std::future::pending());
        assert!(!alarm.is_set());
    }

    #[tokio::test]
    async fn a_replaced_task_does_not_unset_its_successor() {
        let alarm = Alarm::default();
        alarm.set(std::future::pending());
        alarm.set(std::future::pending());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(alarm.is_set());
    }

    #[tokio::test]
    async fn it_is_not_set_once_its_task_has_ended() {
        let alarm = Alarm::default();
        alarm.set(std::future::ready(()));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!alarm.is_set());
    }

    #[test]
    fn it_is_not_set_once_its_runtime_is_gone() {
        let alarm = Alarm::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async { alarm.set(std::future::pending()) });
        assert!(alarm.is_set());
        drop(runtime);
        assert!(!alarm.is_set());
    }
}
