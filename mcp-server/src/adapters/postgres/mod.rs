//! A PostgreSQL primary and its replicas, by mcp-pool: connections, deadlines, statements.

mod address;
mod error;
mod session;
mod tls;

use std::{sync::Arc, time::Duration};

use mcp_pool::{
    BalanceConfig, Pool, Replicas, Token,
    managers::postgres::{Canceller, Postgres, StatementStats},
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use self::tls::Tls;
pub(crate) use self::{
    error::DatabaseError,
    session::{Session, Sql, Step, Value, values},
};
use crate::{call::Lane, memory::postgres::PostgresConfig, telemetry::SlowOperations};

pub use self::address::AddressError;

/// How long a server is asked to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) type Manager = Postgres<Tls>;

/// The servers of one database. Clones share them.
#[derive(Clone)]
pub(crate) struct Database(Arc<Shared>);

/// What sessions share with their database.
pub(crate) struct Shared {
    nodes: Replicas<Manager>,
    slow: SlowOperations,
    /// The cancellations at work.
    cancels: TaskTracker,
    statement_timeout: Duration,
    /// How long a replica is waited for at most.
    patience: Duration,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("nodes", &self.0.nodes.nodes())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Connects to the servers of `config` and asks each which it is. One that does not answer is
    /// asked again from time to time.
    ///
    /// # Errors
    ///
    /// An address is of no use, whoever is there.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self, AddressError> {
        let mut pools = Vec::new();
        for dsn in config.dsn.iter().chain(&config.read_replicas) {
            let manager = address::manager(dsn, config)?;
            let pool = Pool::new(&config.pool(), manager);
            pools.push(pool.map_err(|error| AddressError::new(dsn, error.to_string()))?);
        }
        let every = config.replica_check_interval;
        let lag_max = Some(config.replica_lag_bytes_max.get());
        let nodes = Replicas::new(&BalanceConfig::default(), pools, every, lag_max).await;
        Ok(Self(Arc::new(Shared {
            nodes: nodes.expect("there is a pool, and the interval was checked"),
            slow: SlowOperations::new(&config.slow_queries),
            cancels: TaskTracker::new(),
            statement_timeout: config.statement_timeout,
            patience: every,
        })))
    }

    /// A connection to the primary.
    pub(crate) async fn primary(
        &self,
        lane: Lane,
        deadline: Option<Instant>,
    ) -> Result<Session, DatabaseError> {
        let lease = self.in_time(deadline, self.0.nodes.write()).await?;
        Ok(Session::new(lease, self.0.clone(), deadline, lane, true))
    }

    /// A connection to a replica that is not far behind, or to the primary.
    pub(crate) async fn any(
        &self,
        lane: Lane,
        deadline: Option<Instant>,
    ) -> Result<Session, DatabaseError> {
        let soon = self.soon(deadline);
        let read = self.0.nodes.read(Token::default());
        let Ok(Ok(lease)) = timeout_at(soon, read).await else {
            return self.primary(lane, deadline).await;
        };
        let node = self.0.nodes.nodes()[lease.endpoint()];
        let is_primary = node.is_some_and(|node| node.primary);
        let deadline = match is_primary {
            true => deadline,
            false => Some(soon),
        };
        Ok(Session::new(
            lease,
            self.0.clone(),
            deadline,
            lane,
            is_primary,
        ))
    }

    /// Until when a replica may answer, so that there is time left to ask the primary.
    fn soon(&self, deadline: Option<Instant>) -> Instant {
        let now = Instant::now();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now) / 2);
        now + left.map_or(self.0.patience, |left| left.min(self.0.patience))
    }

    async fn in_time<T>(
        &self,
        deadline: Option<Instant>,
        lease: impl Future<Output = Result<T, mcp_pool::Error>>,
    ) -> Result<T, DatabaseError> {
        let Some(deadline) = deadline else {
            return Ok(lease.await?);
        };
        timeout_at(deadline, lease)
            .await
            .map_err(|_| DatabaseError::NoConnection)?
            .map_err(Into::into)
    }

    /// Whether there is more than the primary.
    pub(crate) fn has_replicas(&self) -> bool {
        self.0.nodes.balance().pools().len() > 1
    }

    /// Why there is no primary, as far as that is known.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut pools = self.0.nodes.balance().pools().iter();
        pools.find_map(|pool| pool.last_connect_error().map(|error| error.to_string()))
    }

    /// The servers at this moment, in the order of the settings.
    pub(crate) fn nodes(&self) -> Vec<NodeStats> {
        let nodes = self.0.nodes.nodes();
        let pools = self.0.nodes.balance().pools().iter();
        pools
            .zip(nodes)
            .map(|(pool, node)| NodeStats {
                is_primary: node.map(|node| node.primary),
                position: node.map(|node| node.position),
                pool: pool.stats(),
                statements: pool.manager().statement_stats(),
            })
            .collect()
    }

    /// The statements that took too long.
    pub(crate) fn slow_queries(&self) -> &SlowOperations {
        &self.0.slow
    }

    /// Ends the connections, when what is at work has ended.
    pub(crate) async fn close(&self) {
        for pool in self.0.nodes.balance().pools() {
            pool.close().await;
        }
        self.0.cancels.close();
        self.0.cancels.wait().await;
    }
}

/// A server and the connections to it, at some moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeStats {
    /// Whether it is the primary; `None` while it does not answer.
    pub is_primary: Option<bool>,
    /// How far it has written, or applied, in bytes of the write-ahead log.
    pub position: Option<u64>,
    /// The connections.
    pub pool: mcp_pool::Stats,
    /// How often statements were prepared already.
    pub statements: StatementStats,
}

impl Shared {
    /// Ends a statement that nobody waits for.
    fn cancel(&self, endpoint: usize, canceller: Canceller) {
        // Without a runtime its connections end, too.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let pool = self.nodes.balance().pools()[endpoint].clone();
        self.cancels.spawn(async move {
            let cancelled = timeout(CANCEL_TIMEOUT, pool.manager().cancel(canceller)).await;
            if !matches!(cancelled, Ok(Ok(()))) {
                tracing::debug!(?cancelled, "a statement could not be cancelled");
            }
        });
    }
}
