//! One batch: the function is called, and every item is answered. Whatever of
//! the caller's panics here ends here, with this batch.

use crate::{
    Error,
    core::{Batch, Ended},
    foreign::{caught, drop_each},
    inner::{Entry, Function, Inner, Results},
    slot::Reply,
    stats::Ending,
    ticket::Answer,
};
use std::{sync::Arc, task::Poll};

type Waiting<O, E> = Vec<(Reply<Answer<O, E>>, u64)>;

/// How it went, and the epochs of the items that were answered.
pub(crate) async fn run_batch<T, O, E>(
    inner: &Inner<T, O, E>,
    batch: Batch<Entry<T, O, E>, Answer<O, E>>,
) -> (Ended, Vec<u64>)
where
    T: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
{
    inner.drop_cancelled(batch.skipped);
    let started_ns = inner.now_ns();
    let oldest_ns = batch.items.first().map(|item| item.arrived_ns);
    let answered = batch.items.len();
    let mut function = None;
    let mut values = Vec::with_capacity(answered);
    let mut waiting = Vec::with_capacity(answered);
    for item in batch.items {
        let (entry, reply, epoch) = item.into_parts();
        function = entry.function;
        values.push(entry.value);
        waiting.push((reply, epoch));
    }
    let function = function.unwrap_or_else(|| Arc::clone(&inner.function));
    let (given, outcome) = perform(inner, &function, values).await;
    let ran_ns = inner.now_ns() - started_ns;
    let (ending, epochs) = answer(outcome, waiting);
    let ended = Ended {
        answered,
        given,
        left: batch.left,
        waited_ns: started_ns.saturating_sub(oldest_ns.unwrap_or(started_ns)),
        ran_ns,
        cost_ns: inner.now_ns() - started_ns,
        ending,
    };
    (ended, epochs)
}

enum Outcome<O, E> {
    Answered(Vec<Result<O, E>>),
    Panicked,
    Miscounted { expected: usize, returned: usize },
}

/// How many items the function was given, and what came of them.
async fn perform<T, O, E>(
    inner: &Inner<T, O, E>,
    function: &Function<T, O, E>,
    values: Vec<T>,
) -> (usize, Outcome<O, E>) {
    let Some(dedup) = &inner.dedup else {
        return (values.len(), call(function, values).await);
    };
    let len = values.len();
    let Some((firsts, which)) = caught(|| dedup.split(values)) else {
        return (len, Outcome::Panicked);
    };
    let given = firsts.len();
    let outcome = match call(function, firsts).await {
        Outcome::Answered(results) => {
            caught(|| dedup.spread(results, &which)).map_or(Outcome::Panicked, Outcome::Answered)
        }
        outcome => outcome,
    };
    (given, outcome)
}

async fn call<T, O, E>(function: &Function<T, O, E>, values: Vec<T>) -> Outcome<O, E> {
    let expected = values.len();
    if expected == 0 {
        return Outcome::Answered(Vec::new());
    }
    let Some(future) = caught(|| function(values)) else {
        return Outcome::Panicked;
    };
    match polled(future).await {
        Some(results) if results.len() == expected => Outcome::Answered(results),
        Some(results) => {
            let returned = results.len();
            drop_each(results);
            Outcome::Miscounted { expected, returned }
        }
        None => Outcome::Panicked,
    }
}

/// `None` if the future panicked, when it was polled or dropped.
async fn polled<O, E>(mut future: Results<O, E>) -> Option<Vec<Result<O, E>>> {
    let results = std::future::poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(results)) => Poll::Ready(Some(results)),
        None => Poll::Ready(None),
    })
    .await;
    if caught(|| drop(future)).is_some() {
        return results;
    }
    drop_each(results.unwrap_or_default());
    None
}

/// Answers every item; the epochs of those that were answered. An answer that
/// nobody waits for is dropped, and the waker of one that somebody does is
/// called: both are the caller's code.
fn answer<O, E>(outcome: Outcome<O, E>, waiting: Waiting<O, E>) -> (Ending, Vec<u64>) {
    let epochs = waiting.iter().map(|(_, epoch)| *epoch).collect();
    let replies = waiting.into_iter().map(|(reply, _)| reply);
    let send = |reply: Reply<Answer<O, E>>, answer| {
        let _ = caught(|| reply.send(answer));
    };
    let ending = match outcome {
        Outcome::Answered(results) => {
            for (reply, result) in replies.zip(results) {
                send(reply, result.map_err(Error::Item));
            }
            Ending::Answered
        }
        Outcome::Panicked => {
            tracing::debug!("the batch function panicked");
            replies.for_each(|reply| send(reply, Err(Error::Panicked)));
            Ending::Panicked
        }
        Outcome::Miscounted { expected, returned } => {
            tracing::debug!(expected, returned, "the batch function miscounted");
            let error = || Err(Error::Miscounted { expected, returned });
            replies.for_each(|reply| send(reply, error()));
            Ending::Miscounted
        }
    };
    (ending, epochs)
}
