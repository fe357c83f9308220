//! The task that runs batches. It lives while there is something to run.

use crate::{
    DropReason, Error,
    core::{Batch, Ended, Next},
    inner::{Inner, Results},
    slot::Reply,
    stats::Ending,
    ticket::Answer,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Starts a runner, which holds a slot already.
pub(crate) fn start<T, O, E>(inner: &Arc<Inner<T, O, E>>)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    let guard = Guard(Some(Arc::clone(inner)));
    inner.runtime.spawn(run(guard));
}

/// A runner that is dropped before its end was dropped by its runtime, which
/// will run no other one either.
struct Guard<T, O, E>(Option<Arc<Inner<T, O, E>>>);

impl<T, O, E> Drop for Guard<T, O, E> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            inner.room.close();
            drop(inner.core.abandon());
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
    let Some(inner) = guard.0.clone() else { return };
    let mut passed = false;
    loop {
        match inner.core.next(passed, inner.now_ns()) {
            Next::Pass => {
                // Whoever is about to submit does so now: the callers of the
                // batch that just ended, or the rest of a burst. Costs a lone
                // item nothing, because then there is nobody else to run.
                tokio::task::yield_now().await;
                passed = true;
            }
            Next::Run(batch, todo) => {
                inner
                    .room
                    .add_permits(batch.items.len() + batch.skipped.len());
                inner.act(todo);
                run_batch(&inner, batch).await;
                passed = false;
            }
            Next::End(todo) => {
                inner.act(todo);
                guard.0 = None;
                return;
            }
        }
    }
}

async fn run_batch<T, O, E>(inner: &Arc<Inner<T, O, E>>, batch: Batch<T, Answer<O, E>>)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    for item in batch.skipped {
        inner.report_dropped(DropReason::Cancelled);
        drop(item);
    }
    let started_ns = inner.now_ns();
    let oldest_ns = batch
        .items
        .first()
        .map_or(started_ns, |item| item.arrived_ns);
    let answered = batch.items.len();
    let mut values = Vec::with_capacity(answered);
    let mut waiting = Vec::with_capacity(answered);
    for item in batch.items {
        let (value, reply, epoch) = item.into_parts();
        values.push(value);
        waiting.push((reply, epoch));
    }
    let (values, which) = match &inner.dedup {
        Some(dedup) => {
            let (firsts, which) = dedup.split(values);
            (firsts, Some(which))
        }
        None => (values, None),
    };
    let given = values.len();
    let outcome = call(inner, values).await;
    let ran_ns = inner.now_ns() - started_ns;
    let outcome = match (outcome, &inner.dedup, which) {
        (Outcome::Answered(results), Some(dedup), Some(which)) => {
            Outcome::Answered(dedup.spread(&results, &which))
        }
        (outcome, ..) => outcome,
    };
    let (ending, epochs) = answer(outcome, waiting);
    let now_ns = inner.now_ns();
    let ended = Ended {
        answered,
        given,
        left: batch.left,
        waited_ns: started_ns.saturating_sub(oldest_ns),
        ran_ns,
        cost_ns: now_ns - started_ns,
        ending,
    };
    let (record, todo) = inner.core.finish(ended, epochs, now_ns);
    if given > 0 {
        inner.report_batch(&record);
    }
    inner.act(todo);
}

enum Outcome<O, E> {
    Answered(Vec<Result<O, E>>),
    Panicked,
    Miscounted { expected: usize, returned: usize },
}

/// Calls the function, whose panic ends here.
async fn call<T, O, E>(inner: &Inner<T, O, E>, values: Vec<T>) -> Outcome<O, E> {
    let expected = values.len();
    if expected == 0 {
        return Outcome::Answered(Vec::new());
    }
    let made = catch_unwind(AssertUnwindSafe(|| (inner.function)(values)));
    let Ok(mut results) = made else {
        return Outcome::Panicked;
    };
    match polled(&mut results).await {
        Some(results) if results.len() == expected => Outcome::Answered(results),
        Some(results) => Outcome::Miscounted {
            expected,
            returned: results.len(),
        },
        None => Outcome::Panicked,
    }
}

/// `None` if the future panicked.
async fn polled<O, E>(results: &mut Results<O, E>) -> Option<Vec<Result<O, E>>> {
    std::future::poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| results.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        },
    )
    .await
}

/// Answers every item; the epochs of those that were answered.
fn answer<O, E>(
    outcome: Outcome<O, E>,
    waiting: Vec<(Reply<Answer<O, E>>, u64)>,
) -> (Ending, Vec<u64>) {
    let epochs = waiting.iter().map(|(_, epoch)| *epoch).collect();
    let ending = match outcome {
        Outcome::Answered(results) => {
            for ((reply, _), result) in waiting.into_iter().zip(results) {
                reply.send(result.map_err(Error::Item));
            }
            Ending::Answered
        }
        Outcome::Panicked => {
            for (reply, _) in waiting {
                reply.send(Err(Error::Panicked));
            }
            Ending::Panicked
        }
        Outcome::Miscounted { expected, returned } => {
            for (reply, _) in waiting {
                reply.send(Err(Error::Miscounted { expected, returned }));
            }
            Ending::Miscounted
        }
    };
    (ending, epochs)
}
