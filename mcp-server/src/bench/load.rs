//! The load generator: connections that call, each at its pace, and what came of it.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    error::BenchError,
    latency::Latencies,
    pace::{Pace, Schedule},
    trace::Kind,
};

/// One connection at work.
pub trait Worker: Send + 'static {
    /// Makes the next call and checks its answer; `None` when there is nothing more to do.
    fn call(&mut self) -> impl Future<Output = Result<Option<Called>, BenchError>> + Send;
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// What kind of call.
    pub kind: Kind,
    /// When it began to be sent.
    pub sent: Instant,
    /// When all of its answer was there.
    pub received: Instant,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered {
        /// Whether from a cache, as the answer says.
        cached: bool,
        /// Whether out of date, as the answer says.
        stale: bool,
    },
    /// It was refused with this code; its latency is not counted.
    Refused(String),
}

/// How much load, at most.
#[derive(Debug, Clone)]
pub struct Load {
    /// When calls are made.
    pub pace: Pace,
    /// For how long calls are begun.
    pub duration: Duration,
    /// Calls of each connection.
    pub calls: usize,
    /// Once it is cancelled, no more calls are begun.
    pub until: CancellationToken,
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The calls that were answered.
    pub answered: BTreeMap<Kind, Answered>,
    /// The calls that were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Answers that said that they are out of date.
    pub marked_stale: u64,
    /// From the first call to the last answer.
    pub elapsed: Duration,
    /// How much later than due the load generator itself began calls on connections that were free.
    /// This is not part of the latencies.
    pub lateness: Latencies,
}

/// The answered calls of one kind.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// How long they took.
    pub latencies: Latencies,
    /// How many came from a cache.
    pub cached: u64,
}

impl Recording {
    /// How many calls were answered.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.answered
            .values()
            .map(|kind| kind.latencies.len())
            .sum()
    }

    /// All latencies, whatever the kind.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let mut all = Latencies::default();
        for kind in self.answered.values() {
            all.merge(&kind.latencies);
        }
        all
    }

    /// Adds what came of another load.
    pub fn absorb(&mut self, other: Self) {
        for (kind, answered) in other.answered {
            let own = self.answered.entry(kind).or_default();
            own.latencies.merge(&answered.latencies);
            own.cached += answered.cached;
        }
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        self.marked_stale += other.marked_stale;
        self.elapsed += other.elapsed;
        self.lateness.merge(&other.lateness);
    }

    fn record(&mut self, called: Called, due: Option<Instant>) {
        match called.outcome {
            Outcome::Answered { cached, stale } => {
                let began = due.unwrap_or(called.sent);
                let kind = self.answered.entry(called.kind).or_default();
                kind.latencies.record(called.received - began);
                kind.cached += u64::from(cached);
                self.marked_stale += u64::from(stale);
            }
            Outcome::Refused(code) => *self.refused.entry(code).or_default() += 1,
        }
    }
}

/// Lets all workers call until the load is made or nothing is left to do, and hands them back.
///
/// # Errors
///
/// The first error of a worker; the others are stopped.
///
/// # Cancel safety
///
/// Dropped, it stops all workers.
pub async fn drive<W: Worker>(
    workers: Vec<W>,
    load: &Load,
) -> Result<(Vec<W>, Recording), BenchError> {
    let recording = Arc::new(Mutex::new(Recording::default()));
    let count = u32::try_from(workers.len()).unwrap_or(u32::MAX);
    let began = Instant::now();
    let mut running = JoinSet::new();
    for (place, mut worker) in (0..count).zip(workers) {
        let connection = Connection {
            schedule: match &load.pace {
                Pace::Closed => None,
                Pace::Open(arrivals) => Some(arrivals.schedule(place, count)),
            },
            began,
            duration: load.duration,
            until: load.until.clone(),
            recording: recording.clone(),
        };
        let calls = load.calls;
        running.spawn(async move {
            connection.run(&mut worker, calls).await?;
            Ok((place, worker))
        });
    }
    let mut workers = Vec::with_capacity(count as usize);
    while let Some(ended) = running.join_next().await {
        workers.push(
            ended
                .map_err(std::io::Error::other)
                .map_err(BenchError::io("a connection"))??,
        );
    }
    workers.sort_by_key(|(place, _)| *place);
    let mut recording = std::mem::take(&mut *lock(&recording));
    recording.elapsed = began.elapsed();
    Ok((
        workers.into_iter().map(|(_, worker)| worker).collect(),
        recording,
    ))
}

struct Connection {
    schedule: Option<Schedule>,
    began: Instant,
    duration: Duration,
    until: CancellationToken,
    recording: Arc<Mutex<Recording>>,
}

impl Connection {
    async fn run(mut self, worker: &mut impl Worker, calls: usize) -> Result<(), BenchError> {
        for _ in 0..calls {
            let Some(due) = self.turn().await else { break };
            let Some(called) = worker.call().await? else {
                break;
            };
            lock(&self.recording).record(called, due);
        }
        Ok(())
    }

    /// Waits for the next call's turn. `None` when it is too late for another call; else from when
    /// on its latency counts, if not from when it is sent.
    async fn turn(&mut self) -> Option<Option<Instant>> {
        if self.until.is_cancelled() {
            return None;
        }
        let Some(schedule) = &mut self.schedule else {
            return (self.began.elapsed() < self.duration).then_some(None);
        };
        let due = schedule.next().filter(|due| *due < self.duration)?;
        let due = self.began + due;
        if due <= Instant::now() {
            // The connection was busy until now.
            return Some(Some(due));
        }
        tokio::select! {
            () = sleep_until(due) => {}
            () = self.until.cancelled() => return None,
        }
        // The timer's own resolution says nothing about the server.
        lock(&self.recording).lateness.record(due.elapsed());
        Some(None)
    }
}

/// A recording is whole after every single change.
fn lock(recording: &Mutex<Recording>) -> std::sync::MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
