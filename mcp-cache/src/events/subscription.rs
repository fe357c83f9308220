//! A subscriber's task and its owner.

use super::{CacheEventSubscriber, CacheInvalidationEvent};
use serde::Serialize;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};
use tokio::{
    sync::{broadcast, broadcast::error::RecvError, oneshot},
    task::JoinHandle,
};

type Events = broadcast::Receiver<Arc<CacheInvalidationEvent>>;

/// Owns a subscriber's task: dropping it stops the task at its next await.
#[derive(Debug)]
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    lagged: AtomicU64,
    panicked: AtomicU64,
}

/// What became of the events of one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// Events whose call returned.
    pub delivered: u64,
    /// Events dropped because the subscriber was too far behind.
    pub lagged: u64,
    /// Events whose call panicked.
    pub panicked: u64,
}

impl Subscription {
    pub(super) fn start(events: Events, subscriber: Arc<dyn CacheEventSubscriber>) -> Self {
        let counters = Arc::<Counters>::default();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(events, subscriber, stopped, Arc::clone(&counters)));
        Self {
            counters,
            stop: Some(stop),
            task,
        }
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> SubscriptionStats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SubscriptionStats {
            delivered: value(&self.counters.delivered),
            lagged: value(&self.counters.lagged),
            panicked: value(&self.counters.panicked),
        }
    }

    /// Delivers what is queued and ends the task; how it went.
    ///
    /// # Cancel safety
    /// Dropping the future stops the task, like dropping the subscription.
    pub async fn close(mut self) -> SubscriptionStats {
        drop(self.stop.take());
        // An error is a runtime that has ended, and the task with it.
        let _ = (&mut self.task).await;
        self.stats()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut events: Events,
    subscriber: Arc<dyn CacheEventSubscriber>,
    mut stopped: oneshot::Receiver<()>,
    counters: Arc<Counters>,
) {
    // What is queued when the stop comes is delivered, nothing after it.
    let mut left = usize::MAX;
    while left > 0 {
        let stop = (left == usize::MAX).then_some(&mut stopped);
        let Some(event) = next(&mut events, stop).await else {
            left = events.len();
            continue;
        };
        let taken = match event {
            Ok(event) => {
                deliver(&*subscriber, &event, &counters).await;
                1
            }
            Err(RecvError::Lagged(lost)) => {
                counters.lagged.fetch_add(lost, Ordering::Relaxed);
                usize::try_from(lost).unwrap_or(usize::MAX)
            }
            Err(RecvError::Closed) => return,
        };
        if left != usize::MAX {
            left = left.saturating_sub(taken);
        }
    }
}

/// The next event, or `None` for the stop, if that is waited for too.
async fn next(
    events: &mut Events,
    mut stop: Option<&mut oneshot::Receiver<()>>,
) -> Option<Result<Arc<CacheInvalidationEvent>, RecvError>> {
    let mut event = pin!(events.recv());
    poll_fn(|cx| {
        let stopped = stop.as_mut().map(|stop| Pin::new(&mut **stop).poll(cx));
        match stopped {
            Some(Poll::Ready(_)) => Poll::Ready(None),
            _ => event.as_mut().poll(cx).map(Some),
        }
    })
    .await
}

/// A panic of the subscriber is its own: it is counted, and the next event comes.
async fn deliver(
    subscriber: &dyn CacheEventSubscriber,
    event: &CacheInvalidationEvent,
    counters: &Counters,
) {
    let call = catch_unwind(AssertUnwindSafe(|| subscriber.on_cache_event(event)));
    let Ok(mut call) = call else {
        counters.panicked.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let ended = poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(&counters.delivered),
            Err(_) => Poll::Ready(&counters.panicked),
        },
    );
    ended.await.fetch_add(1, Ordering::Relaxed);
}
