//! Workers that make a history.

use super::{Action, InvalidateForm, LoadForm, Op, Source, Subject, Violation, check};
use crate::random::{below, unit};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};
use tokio::task::JoinSet;

/// Operations whose log is held and judged at once: about 3 MiB.
const ROUND: u64 = 100_000;

/// What the workers do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Operations in all. Default 1,000,000.
    pub operations: u64,
    /// Tasks at once. Default 8.
    pub workers: u32,
    /// Keys. Default 128. Fewer make more of them meet.
    pub keys: u32,
    /// The share of reads that are dropped after a poll or two. Default 0.
    pub cancelled: f64,
    /// The share of operations that write and invalidate. Default 0.2.
    pub written: f64,
    /// The share of those that write through. Default 0.2.
    pub written_through: f64,
    /// How to invalidate. Default: all forms.
    pub invalidate: Vec<InvalidateForm>,
    /// How to load. Default: all forms.
    pub load: Vec<LoadForm>,
    /// Picks the operations; their interleaving is the runtime's. Default 1.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            operations: 1_000_000,
            workers: 8,
            keys: 128,
            cancelled: 0.0,
            written: 0.2,
            written_through: 0.2,
            invalidate: InvalidateForm::ALL.to_vec(),
            load: LoadForm::ALL.to_vec(),
            seed: 1,
        }
    }
}

/// What a run without a violation consisted of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Reads with an answer.
    pub reads: u64,
    /// Reads without one: cancelled, or failed.
    pub unanswered: u64,
    /// Invalidations and writes through.
    pub invalidations: u64,
    /// Reads of the source.
    pub loads: u64,
}

struct Shared<S> {
    subject: Arc<S>,
    source: Arc<Source>,
    plan: Plan,
    moments: AtomicU64,
}

/// Runs a plan against a subject, on tasks of the current runtime: one with
/// several threads finds more.
///
/// # Errors
/// The first stale read.
///
/// # Panics
/// If the plan has no keys, no workers or no forms, if the subject panics, or
/// outside of a runtime.
///
/// # Cancel safety
/// Dropping the future ends the workers.
pub async fn run<S: Subject>(subject: Arc<S>, plan: &Plan) -> Result<Report, Violation> {
    assert!(plan.keys > 0 && plan.workers > 0, "somebody and something");
    let shared = Arc::new(Shared {
        subject,
        source: Arc::new(Source::new(plan.keys)),
        plan: plan.clone(),
        moments: AtomicU64::new(0),
    });
    let mut floors = vec![0; plan.keys as usize];
    let (mut report, mut left, mut seed) = (Report::default(), plan.operations, plan.seed);
    while left > 0 {
        let operations = left.min(ROUND);
        left -= operations;
        let mut workers = JoinSet::new();
        for _ in 0..plan.workers {
            seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let each = operations.div_ceil(u64::from(plan.workers));
            workers.spawn(work(Arc::clone(&shared), each, seed));
        }
        let log = workers.join_all().await.concat();
        check(&log, &mut floors)?;
        log.iter().for_each(|op| report.add(op));
    }
    report.loads = shared.source.reads();
    Ok(report)
}

impl Report {
    fn add(&mut self, op: &Op) {
        match op.action {
            Action::Read(Some(_)) => self.reads += 1,
            Action::Read(None) => self.unanswered += 1,
            Action::Invalidate(_) => self.invalidations += 1,
        }
    }
}

async fn work<S: Subject>(shared: Arc<Shared<S>>, operations: u64, mut random: u64) -> Vec<Op> {
    let mut log = Vec::new();
    for n in 0..operations {
        let key = below(&mut random, shared.plan.keys.into());
        let key = u32::try_from(key).unwrap_or(0);
        log.push(shared.operate(key, &mut random).await);
        // An operation that needs no await would keep its thread for ever.
        if n % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    log
}

impl<S: Subject> Shared<S> {
    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    async fn operate(&self, key: u32, random: &mut u64) -> Op {
        let plan = &self.plan;
        let called;
        let action = if unit(random) >= plan.written {
            let form = pick(random, &plan.load);
            let cancelled = unit(random) < plan.cancelled;
            let polls = if cancelled {
                pick(random, &[1, 2, 3])
            } else {
                usize::MAX
            };
            called = self.moment();
            let read = self.subject.read(key, form, &self.source);
            Action::Read(poll_for(polls, read).await.flatten())
        } else if unit(random) < plan.written_through {
            called = self.moment();
            Action::Invalidate(self.subject.write_through(key, &self.source).await)
        } else {
            let form = pick(random, &plan.invalidate);
            let version = self.source.write(key);
            called = self.moment();
            self.subject.invalidate(key, form).await;
            Action::Invalidate(version)
        };
        Op {
            called,
            returned: self.moment(),
            key,
            action,
        }
    }
}

/// Polls a future so often at most, then drops it.
async fn poll_for<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            match left {
                0 => Poll::Ready(None),
                _ => Poll::Pending,
            }
        }
    })
    .await
}

fn pick<T: Copy>(random: &mut u64, from: &[T]) -> T {
    let at = usize::try_from(below(random, from.len() as u64)).unwrap_or(0);
    from[at]
}
