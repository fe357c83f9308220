//! A manager with a script, and what it saw.

use mcp_pool::{Config, Manager, Pool};
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How a connect or a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Err,
    /// Not worth trying again.
    Fatal,
    /// Works after so many milliseconds.
    Slow(u64),
    Never,
    Panic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Today,
    ForGood,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Today => "refused today",
            Self::ForGood => "refused for good",
        })
    }
}

impl std::error::Error for Refused {}

#[derive(Debug, Default)]
struct Script {
    next: Mutex<VecDeque<Outcome>>,
    always: Mutex<Option<Outcome>>,
    begun: AtomicUsize,
}

impl Script {
    async fn play(&self) -> Result<(), Refused> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let next = self.next.lock().expect("no panic").pop_front();
        let outcome = next.or_else(|| *self.always.lock().expect("no panic"));
        match outcome.unwrap_or(Outcome::Ok) {
            Outcome::Ok => Ok(()),
            Outcome::Err => Err(Refused::Today),
            Outcome::Fatal => Err(Refused::ForGood),
            Outcome::Slow(after_ms) => {
                tokio::time::sleep(ms(after_ms)).await;
                Ok(())
            }
            Outcome::Never => std::future::pending().await,
            Outcome::Panic => panic!("as the script says"),
        }
    }
}

/// What the other side knows.
#[derive(Debug)]
pub(crate) struct Server {
    since: Instant,
    connects: Script,
    checks: Script,
    /// Connections that exist, and the most that ever did.
    open: AtomicUsize,
    most: AtomicUsize,
    /// Good-byes.
    pub(crate) closed: AtomicUsize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            connects: Script::default(),
            checks: Script::default(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        }
    }
}

impl Server {
    /// Since it was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// These connects go like this; the ones after them work, or go as
    /// `all_connects` said.
    pub(crate) fn connects(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        let mut next = self.connects.next.lock().expect("no panic");
        next.extend(outcomes);
    }

    pub(crate) fn all_connects(&self, outcome: Outcome) {
        *self.connects.always.lock().expect("no panic") = Some(outcome);
    }

    pub(crate) fn checks(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.checks.next.lock().expect("no panic").extend(outcomes);
    }

    pub(crate) fn all_checks(&self, outcome: Outcome) {
        *self.checks.always.lock().expect("no panic") = Some(outcome);
    }

    /// From now on everything works.
    pub(crate) fn heal(&self) {
        for script in [&self.connects, &self.checks] {
            script.next.lock().expect("no panic").clear();
            *script.always.lock().expect("no panic") = None;
        }
    }

    pub(crate) fn connects_begun(&self) -> usize {
        self.connects.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn checks_begun(&self) -> usize {
        self.checks.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// One connection; it is open until it is killed.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) number: usize,
    alive: Arc<AtomicBool>,
    server: Arc<Server>,
}

impl Conn {
    /// From the other side.
    pub(crate) fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    pub(crate) fn killer(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.alive)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.server.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Fake(pub(crate) Arc<Server>);

impl Manager for Fake {
    type Connection = Conn;
    type Error = Refused;

    async fn connect(&self) -> Result<Conn, Refused> {
        // The other side counts a connection from the first packet on.
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(open, Ordering::SeqCst);
        let number = self.0.connects.begun.load(Ordering::SeqCst) + 1;
        let conn = Conn {
            number,
            alive: Arc::new(AtomicBool::new(true)),
            server: Arc::clone(&self.0),
        };
        self.0.connects.play().await?;
        Ok(conn)
    }

    async fn check(&self, _: &mut Conn) -> Result<(), Refused> {
        self.0.checks.play().await
    }

    fn is_open(&self, conn: &mut Conn) -> bool {
        conn.alive.load(Ordering::SeqCst)
    }

    async fn close(&self, conn: Conn) {
        conn.server.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn is_permanent(&self, error: &Refused) -> bool {
        *error == Refused::ForGood
    }
}

/// Small, and with everything that comes of itself switched off.
pub(crate) fn config(max_connections: usize) -> Config {
    Config {
        max_connections,
        check_after: Duration::from_secs(3600),
        health_check_interval: None,
        max_idle_time: None,
        max_lifetime: None,
        ..Config::default()
    }
}

pub(crate) fn pool(config: &Config) -> (Pool<Fake>, Arc<Server>) {
    let server = Arc::new(Server::default());
    let pool = Pool::new(config, Fake(Arc::clone(&server))).expect("a valid configuration");
    (pool, server)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets the tasks that are ready run.
pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Nothing is lent, on its way or waited for, and what the pool counts is what
/// the other side sees.
#[track_caller]
pub(crate) fn assert_at_rest(pool: &Pool<Fake>, server: &Server) {
    let stats = pool.stats();
    let busy = (stats.in_use, stats.opening, stats.checking, stats.waiting);
    assert_eq!(busy, (0, 0, 0, 0), "{stats:?}");
    assert_eq!(stats.idle, server.open(), "{stats:?}");
    assert!(server.most() <= stats.max_connections, "{stats:?}");
}
