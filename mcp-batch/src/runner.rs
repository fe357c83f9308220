//! The task that runs batches. It lives while there is something to run.

use crate::{
    core::{Gather, Next},
    foreign::drop_each,
    inner::Inner,
    work::run_batch,
};
use std::sync::Arc;

/// Starts a runner, which holds a slot already.
pub(crate) fn start<T, O, E>(inner: &Arc<Inner<T, O, E>>)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    let guard = Guard {
        inner: Some(Arc::clone(inner)),
        batch: None,
    };
    inner.runtime.spawn(run(guard));
}

/// A runner that is dropped before its end was dropped by its runtime, which
/// will run no other one either.
struct Guard<T, O, E> {
    inner: Option<Arc<Inner<T, O, E>>>,
    /// The items of the batch that it runs.
    batch: Option<usize>,
}

impl<T, O, E> Drop for Guard<T, O, E> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.room.close();
            let left = inner.core.abandon(self.batch);
            tracing::debug!(
                items = left.len(),
                "the runtime ended before the batches did"
            );
            drop_each(left);
            inner.settled.notify_waiters();
        }
    }
}

async fn run<T, O, E>(mut guard: Guard<T, O, E>)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    let Some(inner) = guard.inner.clone() else {
        return;
    };
    let mut gather = Gather::NEW_RUNNER;
    loop {
        match inner.core.next(&mut gather, inner.now_ns()) {
            // Whoever is about to submit does so now: the callers of the batch
            // that just ended, or the rest of a burst. Costs a lone item
            // nothing, because then there is nobody else to run.
            Next::Pass => tokio::task::yield_now().await,
            Next::Run(batch, todo) => {
                guard.batch = Some(batch.items.len());
                let left = batch.items.len() + batch.skipped.len();
                inner.room.add_permits(left);
                inner.act(todo);
                let (ended, epochs) = run_batch(&inner, batch).await;
                let (record, todo) = inner.core.finish(ended, epochs);
                guard.batch = None;
                if record.size > 0 {
                    inner.report_batch(&record);
                }
                inner.act(todo);
                gather = Gather::AFTER_A_BATCH;
            }
            Next::End => {
                guard.inner = None;
                return;
            }
        }
    }
}
