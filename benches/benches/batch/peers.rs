//! The peers, each with at most 50 items and two batches at once where it can.

use crate::shapes::{Rival, Work, run};
use async_graphql::dataloader::{DataLoader, Loader};
use batch_aint_one::{Batcher, BatchingPolicy, Limits, OnFull, Processor};
use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;
use tower::{Service, ServiceExt};
use tower_batch_control::{Batch, BatchControl, RequestWeight};
use ultra_batch::{BatchExecutor, Executor};

const SIZE_MAX: usize = 50;
const SLOTS: usize = 2;
const SHORT: Duration = Duration::from_millis(1);
const WINDOW: Duration = Duration::from_millis(50);

pub(crate) async fn run_all() {
    let balanced = BatchingPolicy::Balanced { min_size_hint: 25 };
    let window = BatchingPolicy::Duration(WINDOW, OnFull::Process);
    let aint_one = |policy: BatchingPolicy| move |work| AintOne::new(work, policy.clone());
    run(
        "batch-aint-one Immediate",
        aint_one(BatchingPolicy::Immediate),
    )
    .await;
    run("batch-aint-one Balanced(25)", aint_one(balanced)).await;
    run("batch-aint-one 50 ms", aint_one(window)).await;
    for (delay, name) in [(SHORT, "1 ms"), (WINDOW, "50 ms")] {
        run(&format!("dataloader {name}"), |work| {
            GraphQl::new(work, delay)
        })
        .await;
        run(&format!("tower-batch-control {name}"), |work| {
            Tower::new(work, delay)
        })
        .await;
        run(&format!("ultra-batch {name}"), |work| {
            Ultra::new(work, delay)
        })
        .await;
    }
}

#[derive(Clone)]
struct AintOne(Arc<Batcher<AintOneWork>>);

#[derive(Clone)]
struct AintOneWork(Work);

impl Processor for AintOneWork {
    type Key = ();
    type Input = u64;
    type Output = u64;
    type Error = Infallible;
    type Resources = ();

    async fn acquire_resources(&self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }

    async fn process(
        &self,
        (): (),
        inputs: impl Iterator<Item = u64> + Send,
        (): (),
    ) -> Result<Vec<u64>, Infallible> {
        let items: Vec<u64> = inputs.collect();
        self.0.compute(items.len());
        Ok(items)
    }
}

impl AintOne {
    fn new(work: Work, policy: BatchingPolicy) -> Self {
        let limits = Limits::builder()
            .max_batch_size(SIZE_MAX)
            .max_key_concurrency(SLOTS)
            .max_key_queued_items(1_000)
            .build();
        let batcher = Batcher::builder()
            .name("bench")
            .processor(AintOneWork(work))
            .limits(limits)
            .batching_policy(policy)
            .build();
        Self(Arc::new(batcher))
    }
}

impl Rival for AintOne {
    async fn submit(&self, item: u64) -> u64 {
        self.0.add((), item).await.expect("a result")
    }
}

#[derive(Clone)]
struct GraphQl(Arc<DataLoader<GraphQlWork>>);

struct GraphQlWork(Work);

impl Loader<u64> for GraphQlWork {
    type Value = u64;
    type Error = Infallible;

    async fn load(&self, keys: &[u64]) -> Result<HashMap<u64, u64>, Infallible> {
        self.0.compute(keys.len());
        Ok(keys.iter().map(|key| (*key, *key)).collect())
    }
}

impl GraphQl {
    fn new(work: Work, delay: Duration) -> Self {
        let loader = DataLoader::new(GraphQlWork(work), tokio::spawn);
        Self(Arc::new(loader.delay(delay).max_batch_size(SIZE_MAX)))
    }
}

impl Rival for GraphQl {
    async fn submit(&self, item: u64) -> u64 {
        let loaded = self.0.load_one(item).await.expect("no error");
        loaded.expect("a result")
    }
}

#[derive(Clone)]
struct Ultra(BatchExecutor<UltraWork>);

struct UltraWork(Work);

impl Executor for UltraWork {
    type Value = u64;
    type Result = u64;
    type Error = Infallible;

    async fn execute(&self, values: Vec<u64>) -> Result<Vec<u64>, Infallible> {
        self.0.compute(values.len());
        Ok(values)
    }
}

impl Ultra {
    fn new(work: Work, delay: Duration) -> Self {
        let executor = BatchExecutor::build(UltraWork(work))
            .delay_duration(delay)
            .eager_batch_size(Some(SIZE_MAX))
            .finish();
        Self(executor)
    }
}

impl Rival for Ultra {
    async fn submit(&self, item: u64) -> u64 {
        let result = self.0.execute(item).await.expect("no error");
        result.expect("a result")
    }
}

#[derive(Clone)]
struct Tower(Batch<TowerWork, Request>);

struct Request(u64);

impl RequestWeight for Request {}

/// Items wait until the flush that ends their batch has done the work.
struct TowerWork {
    work: Work,
    items: usize,
    done: watch::Sender<bool>,
}

impl Service<BatchControl<Request>> for TowerWork {
    type Response = u64;
    type Error = tower::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<u64, tower::BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, control: BatchControl<Request>) -> Self::Future {
        match control {
            BatchControl::Item(Request(item)) => {
                self.items += 1;
                let mut done = self.done.subscribe();
                Box::pin(async move {
                    done.wait_for(|done| *done).await?;
                    Ok(item)
                })
            }
            BatchControl::Flush => {
                let (work, items) = (self.work, std::mem::take(&mut self.items));
                let done = std::mem::replace(&mut self.done, watch::Sender::new(false));
                Box::pin(async move {
                    work.compute(items);
                    done.send_replace(true);
                    Ok(0)
                })
            }
        }
    }
}

impl Tower {
    fn new(work: Work, delay: Duration) -> Self {
        let service = TowerWork {
            work,
            items: 0,
            done: watch::Sender::new(false),
        };
        Self(Batch::new(service, SIZE_MAX, SLOTS, delay))
    }
}

impl Rival for Tower {
    async fn submit(&self, item: u64) -> u64 {
        let mut service = self.0.clone();
        let service = service.ready().await.expect("no error");
        service.call(Request(item)).await.expect("a result")
    }
}
