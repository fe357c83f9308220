//! Reading ahead what is likely to be asked for.

use std::{
    num::NonZero,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mcp_cache::{Fetch, Warmed};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Copies, loaded};
use crate::{
    call::Call,
    context::{ContextError, ContextKey, Get, WarmingConfig},
};

/// How long the end may take to store how often contexts were read.
const LAST_COUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// The task that warms, and its owner.
pub(super) struct Warming {
    rounds: Arc<AtomicU64>,
    stop: CancellationToken,
    /// `None` where there is nothing to do, no runtime to do it on, or it was stopped.
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Warming {
    pub(super) fn start(copies: Arc<Copies>, config: &WarmingConfig) -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let wanted = config.recent > 0 || config.popular > 0;
        let runtime = Handle::try_current().ok().filter(|_| wanted);
        let task = runtime.map(|runtime| {
            let (config, stop, rounds) = (config.clone(), stop.clone(), rounds.clone());
            runtime.spawn(async move { run(&copies, &config, &stop, &rounds).await })
        });
        Self {
            rounds,
            stop,
            task: std::sync::Mutex::new(task),
        }
    }

    /// Rounds that have ended.
    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Ends the task and waits for that.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the warming of contexts did not end well");
        }
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

async fn run(
    copies: &Copies,
    config: &WarmingConfig,
    stop: &CancellationToken,
    rounds: &AtomicU64,
) {
    let mut ticks = interval(config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            match round(copies, config).await {
                Ok(warmed) => tracing::debug!(?warmed, "warmed contexts"),
                Err(error) => tracing::warn!(%error, "contexts could not be warmed"),
            }
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
    // The next life begins with what was popular in this one.
    match timeout(LAST_COUNT_TIMEOUT, count_reads(copies)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "reads of contexts were not counted"),
        Err(_) => tracing::debug!("reads of contexts were not counted in time"),
    }
}

pub(super) async fn round(copies: &Copies, config: &WarmingConfig) -> Result<Warmed, ContextError> {
    count_reads(copies).await?;
    let keys = copies.store.hottest(config.recent, config.popular).await?;
    copies
        .freshness
        .catch_up(&*copies.store, &copies.cache)
        .await?;
    let loads_max = usize::try_from(config.loads_max.get()).unwrap_or(usize::MAX);
    let loads_max = NonZero::new(loads_max).unwrap_or(NonZero::<usize>::MIN);
    let load = |key: &ContextKey| {
        let (store, classes, key) = (copies.store.clone(), copies.classes, key.clone());
        async move {
            let get = Get { id: key.id };
            let kept = store.get(&Call::new(key.owner), get).await?;
            Ok::<_, ContextError>(loaded(&classes, kept))
        }
    };
    Ok(copies
        .cache
        .warm(keys, Fetch::new(), loads_max, load, |_| {})
        .await)
}

async fn count_reads(copies: &Copies) -> Result<(), ContextError> {
    let reads = copies.reads.take();
    match reads.is_empty() {
        true => Ok(()),
        false => copies.store.count_reads(reads).await,
    }
}
