//! Threads that own a connection and run jobs on it, off the runtime's threads.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::memory::MemoryError;

/// Whether going on is in vain: the caller has gone, or its time is over.
pub(super) type Stop<'a> = &'a dyn Fn() -> bool;
pub(super) type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// SQLite asks after so many steps of its machine (some ten microseconds) whether to go on.
const STEPS_PER_QUESTION: i32 = 1_000;

/// A thread with its connection and a bounded queue of jobs. Dropping it has what is queued worked
/// off, then ends the thread and waits for that.
pub(super) struct Executor {
    /// `None` only while being dropped.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Executor {
    pub(super) fn spawn(
        name: &str,
        connection: Connection,
        queue_len_max: usize,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(queue_len_max);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(jobs, connection))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// The way in, which does not keep the thread alive.
    pub(super) fn queue(&self) -> Queue {
        let queue = self.queue.as_ref().expect("present until dropped");
        Queue {
            jobs: queue.downgrade(),
            len_max: queue.max_capacity(),
        }
    }

    /// Queues `job` without waiting for it.
    pub(super) fn submit(&self, job: Job) -> Result<(), MemoryError> {
        self.queue().submit(job)
    }

    /// Runs `job`; it is skipped, or interrupted, once its caller has gone or `deadline` has passed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        job: impl FnOnce(&mut Connection, Stop<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        self.queue().run(deadline, job, |_| ()).await
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A job's panic is caught, so a thread has no other way to end than the queue's.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

/// The way to a thread that somebody else owns.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::WeakSender<Job>,
    len_max: usize,
}

impl Queue {
    /// Whether the thread still takes jobs.
    pub(super) fn is_open(&self) -> bool {
        self.jobs.strong_count() > 0
    }

    fn submit(&self, job: Job) -> Result<(), MemoryError> {
        let jobs = self.jobs.upgrade().ok_or_else(stopped)?;
        jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => MemoryError::Overloaded {
                waiting: self.len_max,
            },
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }

    /// As [`Executor::run`]; `done` is called with the result before the caller has it, on the
    /// thread, whatever became of the caller.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        job: impl FnOnce(&mut Connection, Stop<'_>) -> Result<T, MemoryError> + Send + 'static,
        done: impl FnOnce(&Result<T, MemoryError>) + Send + 'static,
    ) -> Result<T, MemoryError> {
        let (reply, answer) = oneshot::channel();
        let waiter = Arc::new(Waiter {
            gone: AtomicBool::new(false),
            deadline,
        });
        let _leaving = Leaving(waiter.clone());
        self.submit(Box::new(move |connection| {
            let result = match waiter.is_over() {
                true => Err(MemoryError::Timeout),
                false => attended(connection, &waiter, job),
            };
            done(&result);
            let _ = reply.send(result);
        }))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Whoever waits for a job.
struct Waiter {
    gone: AtomicBool,
    deadline: Option<Instant>,
}

impl Waiter {
    fn is_over(&self) -> bool {
        let late = |deadline| Instant::now() >= deadline;
        self.gone.load(Ordering::Relaxed) || self.deadline.is_some_and(late)
    }
}

/// Notes that the caller has gone, be it with its answer.
struct Leaving(Arc<Waiter>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

/// Runs `job`, whose statements are interrupted once the waiter's time is over.
fn attended<T>(
    connection: &mut Connection,
    waiter: &Arc<Waiter>,
    job: impl FnOnce(&mut Connection, Stop<'_>) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    let asked = waiter.clone();
    connection.progress_handler(STEPS_PER_QUESTION, Some(move || asked.is_over()))?;
    // A panic rolls back its transaction as it unwinds; the connection stays sound.
    let result = caught(|| job(connection, &|| waiter.is_over()));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    result
}

fn work(mut jobs: mpsc::Receiver<Job>, mut connection: Connection) {
    while let Some(job) = jobs.blocking_recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
            tracing::error!("a job of the memory store panicked");
        }
    }
}

/// The job's result, also if it panics.
pub(super) fn caught<T>(job: impl FnOnce() -> Result<T, MemoryError>) -> Result<T, MemoryError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> MemoryError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    MemoryError::Internal {
        reason: message.unwrap_or_else(|| "a job panicked".to_owned()),
    }
}

pub(super) fn stopped() -> MemoryError {
    MemoryError::Unavailable {
        reason: "the store is shutting down".to_owned(),
    }
}
