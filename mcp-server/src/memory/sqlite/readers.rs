//! The connections that read: a pool in which each kind of client has its share.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mcp_pool::{ClassConfig, Key, Manager, OTHER, PoolSet, SetConfig};
use rusqlite::Connection;
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    OpenError, SqliteConfig,
    executor::{Executor, Queue, Stop, stopped},
    open,
};
use crate::{call::Lane, memory::MemoryError};

const LANES: [Lane; 3] = [Lane::Cursor, Lane::Vscode, Lane::Other];
/// A connection to a file does not die unseen, as one to a server may: it is asked seldom.
const CHECK_AFTER: Duration = Duration::from_secs(60);
/// There are three keys; the set spreads its limit over parts, each of which may get all of them.
const KEYS_MAX: usize = 64;

/// Reads on pooled connections, each of which has a thread of its own.
///
/// Dropping it ends the threads and waits for what they are at.
pub(super) struct Readers {
    pool: PoolSet<Opener>,
    threads: Arc<Threads>,
    keys: [Key; LANES.len()],
}

impl Readers {
    pub(super) fn new(path: &Path, config: &SqliteConfig) -> Self {
        let threads = Arc::<Threads>::default();
        let opener = Opener {
            path: path.into(),
            config: config.clone(),
            threads: threads.clone(),
        };
        let pool = PoolSet::new(&pools(config), move |_| opener.clone());
        Self {
            pool: pool.expect("sound for any number of connections and waiters"),
            threads,
            keys: LANES.map(|lane| Key::new("memory.db", "", class(lane))),
        }
    }

    /// Runs `job` on a connection that refuses to write; it is skipped, or interrupted, once its
    /// caller has gone or `deadline` has passed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        deadline: Option<Instant>,
        job: impl FnOnce(&Connection, Stop<'_>) -> Result<T, MemoryError> + Send + 'static,
    ) -> Result<T, MemoryError> {
        let key = LANES.iter().position(|known| *known == lane);
        let key = &self.keys[key.expect("every lane is there")];
        let mut reader = self.pool.get(key).await.map_err(refused)?;
        let queue = reader.queue.clone();
        // The thread has the lease: the connection is nobody else's until the job has ended, also
        // if its caller does not wait for that.
        let done = move |result: &Result<T, MemoryError>| {
            if let Err(MemoryError::Unavailable { .. } | MemoryError::Internal { .. }) = result {
                reader.retire();
            }
        };
        queue
            .run(deadline, |connection, stop| job(connection, stop), done)
            .await
    }

    /// The counters of each kind of client that has read.
    pub(super) fn stats(&self) -> Vec<(String, mcp_pool::Stats)> {
        let all = self.pool.stats().into_iter();
        all.map(|(key, stats)| (key.class.to_string(), stats))
            .collect()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.threads.end();
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("used", &self.pool.used())
            .finish_non_exhaustive()
    }
}

/// All kinds of clients may have all connections that the others leave; where there are enough, one
/// in four is kept for each kind.
fn pools(config: &SqliteConfig) -> SetConfig {
    let readers = config.readers.get();
    let share = ClassConfig {
        guaranteed: readers / (LANES.len() + 1),
        ..ClassConfig::default()
    };
    SetConfig {
        pool: mcp_pool::Config {
            max_connections: readers,
            max_waiters: config.queue_len_max.get(),
            connect_timeout: Duration::from_secs(30),
            check_after: CHECK_AFTER,
            max_lifetime: None,
            ..mcp_pool::Config::default()
        },
        max_connections: readers,
        max_keys: KEYS_MAX,
        classes: LANES
            .map(|lane| (class(lane).to_owned(), share.clone()))
            .into(),
    }
}

fn class(lane: Lane) -> &'static str {
    match lane {
        Lane::Cursor => "cursor",
        Lane::Vscode => "vscode",
        Lane::Other => OTHER,
    }
}

fn refused(error: mcp_pool::Error) -> MemoryError {
    match error {
        mcp_pool::Error::Overloaded { limit } => MemoryError::Overloaded { waiting: limit },
        mcp_pool::Error::Closed => stopped(),
        error => MemoryError::Unavailable {
            reason: error.to_string(),
        },
    }
}

/// Makes the pool's connections.
#[derive(Clone)]
struct Opener {
    path: PathBuf,
    config: SqliteConfig,
    threads: Arc<Threads>,
}

/// A connection as the pool has it: the way to the thread that has it.
struct Reader {
    id: u64,
    queue: Queue,
}

impl Manager for Opener {
    type Connection = Reader;
    type Error = Refused;

    async fn connect(&self) -> Result<Reader, Refused> {
        let Self {
            path,
            config,
            threads,
        } = self.clone();
        let opened = spawn_blocking(move || {
            let connection = open::reader(&path, &config)?;
            let thread = Executor::spawn("memory-reader", connection, 1);
            Ok(threads.adopt(thread.map_err(|source| OpenError::Thread { source })?)?)
        });
        opened.await.unwrap_or(Err(Refused::Store(stopped())))
    }

    async fn check(&self, reader: &mut Reader) -> Result<(), Refused> {
        let look = |db: &mut Connection, _: Stop<'_>| {
            Ok(db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?)
        };
        Ok(reader.queue.run(None, look, |_| ()).await?)
    }

    fn is_open(&self, reader: &mut Reader) -> bool {
        reader.queue.is_open()
    }

    /// Whoever waits is told; the next one has it tried again.
    fn is_permanent(&self, _: &Refused) -> bool {
        true
    }

    async fn close(&self, reader: Reader) {
        let thread = self.threads.release(reader.id);
        // Joins the thread.
        let _ = spawn_blocking(move || drop(thread)).await;
    }
}

/// Why a connection was not made, or is not lent again.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] MemoryError),
}

/// Owns the threads, so that they can be ended without the pool and its runtime.
#[derive(Default)]
struct Threads {
    next: AtomicU64,
    /// `None` once they were ended.
    owned: Mutex<Owned>,
}

struct Owned(Option<HashMap<u64, Executor>>);

impl Default for Owned {
    fn default() -> Self {
        Self(Some(HashMap::new()))
    }
}

impl Threads {
    /// Refuses, and ends the thread, when all were ended.
    fn adopt(&self, thread: Executor) -> Result<Reader, MemoryError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let queue = thread.queue();
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut owned.0 {
            Some(owned) => owned.insert(id, thread),
            None => return Err(stopped()),
        };
        Ok(Reader { id, queue })
    }

    fn release(&self, id: u64) -> Option<Executor> {
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.0.as_mut()?.remove(&id)
    }

    fn end(&self) {
        let owned = self
            .owned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .take();
        // Joined outside of the lock: a job at work may be the pool's, which takes it.
        drop(owned);
    }
}
