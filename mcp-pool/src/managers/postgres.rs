//! PostgreSQL by `tokio-postgres`.

use crate::{
    manager::Manager,
    managers::{
        Driver, Socket,
        socket::{Pending, Probe},
    },
};
use lru::LruCache;
use parking_lot::Mutex;
use std::{
    fmt, io,
    num::NonZero,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use thiserror::Error as ThisError;
use tokio_postgres::{
    CancelToken, Client, Config, Error, Statement,
    config::Host,
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
};

/// The first byte of an alert of TLS.
const TLS_ALERT: u8 = 21;
const DEFAULT_PORT: u16 = 5432;

/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: NonZero<usize> = NonZero::new(256).expect("not zero");

/// Makes connections to PostgreSQL.
///
/// A borrower that begins a transaction by hand ends it, or
/// [retires](crate::Lease::retire) the connection: the next one would be in it.
/// `tokio_postgres::Transaction` rolls back by itself.
#[derive(Clone)]
pub struct Postgres<T> {
    config: Config,
    tls: T,
    statements_max: NonZero<usize>,
    counts: Arc<StatementCounts>,
}

/// How often a statement was asked for that was prepared already, by all
/// connections of a manager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementStats {
    /// It was.
    pub hits: u64,
    /// It had to be prepared first.
    pub misses: u64,
}

#[derive(Debug, Default)]
struct StatementCounts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<T> Postgres<T> {
    /// Connects to the first host of `config` that can be reached; `tls` is `tokio_postgres::NoTls`, or a TLS
    /// connector.
    pub fn new(config: Config, tls: T) -> Self {
        Self {
            config,
            tls,
            statements_max: STATEMENTS_MAX,
            counts: Arc::default(),
        }
    }

    /// The counters of [`Connection::prepare_cached`] at this moment.
    #[must_use]
    pub fn statement_stats(&self) -> StatementStats {
        StatementStats {
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
        }
    }

    /// How many statements a connection keeps prepared; the least recently
    /// used is closed first. Default 256. Each costs the server memory.
    #[must_use]
    pub fn statements_max(mut self, statements_max: NonZero<usize>) -> Self {
        self.statements_max = statements_max;
        self
    }
}

/// Why there is no connection to PostgreSQL.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ConnectError {
    /// No host can be reached.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The TLS connector is of no use for the host.
    #[error("no TLS: {0}")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server refuses, or does not answer.
    #[error("{}", told(.0))]
    Postgres(#[from] Error),
}

/// The server's own words, where there are some: the error itself only says that there are. Else what
/// lies beneath it, such as what is wrong with a certificate.
fn told(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl<T> Postgres<T> {
    /// The first of the hosts that can be reached, in their order, and its number.
    async fn reach(&self) -> io::Result<(Socket, usize)> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no host is given");
        for at in 0..self.config.get_hosts().len() {
            match self.reach_one(at).await {
                Ok(socket) => return Ok((socket, at)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn reach_one(&self, at: usize) -> io::Result<Socket> {
        let ports = self.config.get_ports();
        let port = ports.get(at).or_else(|| ports.first()).copied();
        let port = port.unwrap_or(DEFAULT_PORT);
        match &self.config.get_hosts()[at] {
            Host::Tcp(name) => Socket::tcp(name, port).await,
            #[cfg(unix)]
            Host::Unix(dir) => Socket::unix(&dir.join(format!(".s.PGSQL.{port}"))).await,
        }
    }

    /// The name that a host has to prove by TLS.
    fn name(&self, at: usize) -> &str {
        match &self.config.get_hosts()[at] {
            Host::Tcp(name) => name,
            #[cfg(unix)]
            Host::Unix(_) => "",
        }
    }
}

impl<T> fmt::Debug for Postgres<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A client with the statements that it has prepared.
pub struct Connection {
    client: Client,
    driver: Driver,
    probe: Probe,
    statements: Mutex<LruCache<Box<str>, Statement>>,
    counts: Arc<StatementCounts>,
    host: usize,
}

/// Ends what a connection is at, from outside of it.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    host: usize,
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl<T> Postgres<T>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Asks the server, by a connection of its own, to end the statement that the
    /// other one is at. It may have ended already: then the next one ends.
    ///
    /// # Errors
    /// The server cannot be reached. It never says whether there was anything to end.
    pub async fn cancel(&self, canceller: Canceller) -> Result<(), ConnectError> {
        let socket = self.reach_one(canceller.host).await?;
        let tls = self.tls.clone().make_tls_connect(self.name(canceller.host));
        let tls = tls.map_err(|error| ConnectError::Tls(error.into()))?;
        canceller.token.cancel_query_raw(socket, tls).await?;
        Ok(())
    }
}

impl Connection {
    /// The statement, prepared at its first use by this connection.
    ///
    /// # Cancel safety
    /// When it is dropped the statement may be prepared and is not kept.
    ///
    /// # Errors
    /// The server does not prepare it.
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.lock().get(query) {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(statement.clone());
        }
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
        let statement = self.client.prepare(query).await?;
        // What it pushes out is closed at the server when its last user is done.
        self.statements.lock().put(query.into(), statement.clone());
        Ok(statement)
    }

    /// Forgets the prepared statements: after a change of the schema a plan
    /// may no longer fit.
    pub fn forget_statements(&self) {
        self.statements.lock().clear();
    }

    /// Statements kept prepared now.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.statements.lock().len()
    }

    /// What [`Postgres::cancel`] needs to end what this connection is at.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            token: self.client.cancel_token(),
            host: self.host,
        }
    }

    /// For what needs an exclusive client: transactions.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl<T> Manager for Postgres<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Connection = Connection;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let (socket, host) = self.reach().await?;
        let probe = socket.probe()?;
        let tls = self.tls.clone().make_tls_connect(self.name(host));
        let tls = tls.map_err(|error| ConnectError::Tls(error.into()))?;
        let (client, connection) = self.config.connect_raw(socket, tls).await?;
        let driver = Driver::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(Connection {
            client,
            driver,
            probe,
            statements: Mutex::new(LruCache::new(self.statements_max)),
            counts: Arc::clone(&self.counts),
            host,
        })
    }

    /// An empty query: one round trip, no work.
    async fn check(&self, connection: &mut Connection) -> Result<(), ConnectError> {
        connection.client.simple_query("").await?;
        Ok(())
    }

    /// What the server says as it ends a connection counts from when it has
    /// arrived, not from when it is read.
    fn is_open(&self, connection: &mut Connection) -> bool {
        if !connection.driver.is_running() || connection.client.is_closed() {
            return false;
        }
        match connection.probe.look() {
            Pending::Nothing => true,
            // An error or a warning that no query asked for is the last word of
            // a server; an alert is the last one of TLS.
            Pending::Byte(first) => ![b'E', b'N', TLS_ALERT].contains(&first),
            Pending::End => false,
        }
    }

    async fn close(&self, connection: Connection) {
        let Connection {
            client,
            driver,
            statements,
            probe,
            ..
        } = connection;
        drop((statements, client, probe));
        driver.finish().await;
    }

    /// A wrong password, user or database does not get better.
    fn is_permanent(&self, error: &ConnectError) -> bool {
        const PERMANENT: [SqlState; 3] = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INVALID_CATALOG_NAME,
        ];
        match error {
            ConnectError::Postgres(error) => {
                error.code().is_some_and(|code| PERMANENT.contains(code))
            }
            ConnectError::Io(_) | ConnectError::Tls(_) => false,
        }
    }
}

impl<T> crate::Replicated for Postgres<T>
where
    Self: Manager<Connection = Connection, Error = ConnectError>,
    T: Send + Sync,
{
    /// Positions are those of the write-ahead log.
    async fn node(&self, connection: &mut Connection) -> Result<crate::Node, ConnectError> {
        let query = "SELECT NOT pg_is_in_recovery(), \
            (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
            ELSE pg_current_wal_insert_lsn() END - '0/0')::int8";
        let statement = connection.prepare_cached(query).await?;
        let row = connection.query_one(&statement, &[]).await?;
        let position = row.try_get::<_, Option<i64>>(1)?.unwrap_or(0);
        Ok(crate::Node {
            primary: row.try_get(0)?,
            position: position.unsigned_abs(),
        })
    }
}
