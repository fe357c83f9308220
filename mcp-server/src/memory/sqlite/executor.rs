//! Threads that own connections and run jobs on them, off the runtime's threads.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::memory::MemoryError;

/// Whether the caller has gone.
pub(super) type Gone<'a> = &'a dyn Fn() -> bool;
pub(super) type Job = Box<dyn FnOnce(&mut Connection) + Send>;
type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

/// A bounded queue of jobs and one thread per connection that works it off.
pub(super) struct Executor {
    /// `None` only while being dropped.
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Executor {
    pub(super) fn spawn(
        name: &str,
        connections: Vec<Connection>,
        queue_len_max: usize,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(queue_len_max);
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let jobs = jobs.clone();
                std::thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || work(&jobs, connection))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            queue: Some(queue),
            threads,
        })
    }

    /// Runs `job` on one of the threads. A job whose caller has gone before it began is skipped;
    /// one that has begun can ask whether its caller is still there.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection, Gone<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if reply.is_closed() {
                return;
            }
            // A panic rolls back its transaction as it unwinds; the connection stays sound.
            let result = catch_unwind(AssertUnwindSafe(|| job(connection, &|| reply.is_closed())));
            let _ = reply.send(result.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
        });
        self.submit(job)?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Queues `job` without waiting for it.
    pub(super) fn submit(&self, job: Job) -> Result<(), MemoryError> {
        let queue = self.queue.as_ref().expect("present until dropped");
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => MemoryError::Overloaded {
                waiting: queue.max_capacity(),
            },
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // A job's panic is caught, so a thread has no other way to end than the queue's.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

fn work(jobs: &Jobs, mut connection: Connection) {
    loop {
        // The lock is held while waiting: whoever has it is next, the others queue behind.
        let job = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        match job {
            Some(job) => {
                if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
                    tracing::error!("a job of the memory store panicked");
                }
            }
            None => return,
        }
    }
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

fn stopped() -> MemoryError {
    MemoryError::Unavailable {
        reason: "the store is shutting down".to_owned(),
    }
}
