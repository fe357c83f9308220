//! A primary and its replicas: reads are spread, and see what their reader
//! wrote.

use crate::{
    balance::{Balance, BalanceConfig, Balanced},
    error::{ConfigError, Error},
    lease::Lease,
    manager::Manager,
    pool::Pool,
};
use parking_lot::Mutex;
use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// A place in the log of changes; later ones are greater.
pub type Position = u64;

/// What a node of a replicated database says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Whether it takes writes.
    pub primary: bool,
    /// How far it has written (a primary) or applied (a replica).
    pub position: Position,
}

/// A manager whose connections can ask their node about itself.
pub trait Replicated: Manager {
    /// Asks.
    ///
    /// # Errors
    /// The node does not answer.
    fn node(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Node, Self::Error>> + Send;
}

/// How far the database had written when its owner last wrote: a read that is
/// given it sees that write. `None` before the first write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Token(Option<Position>);

impl Token {
    /// Of this position, as when it comes from another process.
    #[must_use]
    pub fn at(position: Position) -> Self {
        Self(Some(position))
    }

    /// The position.
    #[must_use]
    pub fn position(self) -> Option<Position> {
        self.0
    }

    /// Sees what both see.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Pools of a primary and its replicas, whichever is which. Clones share it.
///
/// Every interval each node is asked what it is; one that does not answer
/// within the interval is out until it does. Reads go to replicas that have
/// applied what they must see, of two picked at random to the cheaper one, and
/// to the primary if there is none.
pub struct Replicas<M: Replicated>(Arc<Inner<M>>);

struct Inner<M: Replicated> {
    balance: Balance<M>,
    nodes: Mutex<Vec<Option<Node>>>,
    max_lag: Option<Position>,
}

impl<M: Replicated> Clone for Replicas<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Replicated> Replicas<M> {
    /// Asks the nodes of `pools` once every `every`, and keeps reads from
    /// replicas that are more than `max_lag` behind the primary. Returns when
    /// all nodes have been asked for the first time.
    ///
    /// # Errors
    /// There is no pool, or the configuration makes no sense.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn new(
        config: &BalanceConfig,
        pools: Vec<Pool<M>>,
        every: Duration,
        max_lag: Option<Position>,
    ) -> Result<Self, ConfigError> {
        if every < Duration::from_millis(1) {
            return Err(ConfigError {
                field: "every",
                reason: "must be at least 1ms",
            });
        }
        let nodes = Mutex::new(vec![None; pools.len()]);
        let balance = Balance::new(config, pools)?;
        let replicas = Self(Arc::new(Inner {
            balance,
            nodes,
            max_lag,
        }));
        replicas.0.ask_all(every).await;
        tokio::spawn(keep_asking(Arc::downgrade(&replicas.0), every));
        Ok(replicas)
    }

    /// A connection to the primary.
    ///
    /// # Cancel safety
    /// As [`Pool::get`].
    ///
    /// # Errors
    /// As [`Pool::get`]; [`Error::Unavailable`] while no node says that it is the
    /// primary.
    pub async fn write(&self) -> Result<Balanced<M>, Error> {
        let nodes = self.nodes();
        let primary = |at: usize| nodes[at].is_some_and(|node| node.primary);
        self.0.balance.get_among(primary).await
    }

    /// After a write: what later reads have to be given to see it.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn token(&self, written: &mut Balanced<M>) -> Result<Token, M::Error> {
        let pool = &self.0.balance.pools()[written.endpoint()];
        let node = pool.manager().node(written).await?;
        Ok(Token::at(node.position))
    }

    /// A connection to a node that has applied what `token` says.
    ///
    /// # Cancel safety
    /// As [`Pool::get`].
    ///
    /// # Errors
    /// As [`Pool::get`]; [`Error::Unavailable`] if no node answers that may serve.
    pub async fn read(&self, token: Token) -> Result<Balanced<M>, Error> {
        let nodes = self.nodes();
        let least = self.least(&nodes, token);
        let serves =
            |at: usize| nodes[at].is_some_and(|node| !node.primary && node.position >= least);
        if (0..nodes.len()).any(serves)
            && let Ok(lease) = self.0.balance.get_among(serves).await
        {
            return Ok(lease);
        }
        self.write().await
    }

    /// How far a replica must be to serve.
    fn least(&self, nodes: &[Option<Node>], token: Token) -> Position {
        let primary = nodes.iter().flatten().filter(|node| node.primary);
        let written = primary.map(|node| node.position).max();
        let fresh = match (self.0.max_lag, written) {
            (Some(lag), Some(written)) => written.saturating_sub(lag),
            _ => 0,
        };
        token.position().unwrap_or(0).max(fresh)
    }

    /// What each node last said; `None` for one that did not answer. Of one whose
    /// connections are all lent, so that none was free to ask with, what it said
    /// before.
    #[must_use]
    pub fn nodes(&self) -> Vec<Option<Node>> {
        self.0.nodes.lock().clone()
    }

    /// The pools, and what is known of each.
    #[must_use]
    pub fn balance(&self) -> &Balance<M> {
        &self.0.balance
    }
}

impl<M: Replicated> Inner<M> {
    /// All at once, so that a node that is dead delays nobody's answer by more
    /// than the limit.
    async fn ask_all(self: &Arc<Self>, limit: Duration) {
        let asks: Vec<_> = (0..self.balance.pools().len())
            .map(|at| {
                let inner = Arc::clone(self);
                tokio::spawn(async move {
                    inner.ask_one(at, limit).await;
                })
            })
            .collect();
        for ask in asks {
            // A manager that panics is a node that did not answer.
            drop(ask.await);
        }
    }

    async fn ask_one(&self, at: usize, limit: Duration) {
        let until = Instant::now() + limit;
        let mut asked = Asked {
            inner: self,
            at,
            answer: None,
            busy: false,
        };
        let pool = &self.balance.pools()[at];
        match timeout_at(until, pool.get()).await {
            Ok(Ok(lease)) => {
                let answer = timeout_at(until, self.ask(at, lease)).await;
                asked.answer = answer.ok().flatten();
            }
            Ok(Err(error)) => asked.busy = error.is_retryable() && is_busy(pool),
            Err(_) => asked.busy = is_busy(pool),
        }
    }

    async fn ask(&self, at: usize, mut lease: Lease<'_, M>) -> Option<Node> {
        // Cancelled half-way, the answer would be the next borrower's.
        lease.retire();
        let pool = &self.balance.pools()[at];
        let node = pool.manager().node(&mut lease).await.ok()?;
        lease.keep();
        Some(node)
    }
}

/// Whether no connection was to be had because all are lent: that says nothing
/// about the node.
fn is_busy<M: Replicated>(pool: &Pool<M>) -> bool {
    let stats = pool.stats();
    stats.in_use >= stats.max_connections && pool.last_connect_error().is_none()
}

/// What came of asking a node, which counts when this is dropped: a manager that
/// panics is a node that did not answer.
struct Asked<'a, M: Replicated> {
    inner: &'a Inner<M>,
    at: usize,
    answer: Option<Node>,
    busy: bool,
}

impl<M: Replicated> Drop for Asked<'_, M> {
    fn drop(&mut self) {
        if self.busy {
            return;
        }
        self.inner
            .balance
            .set_enabled(self.at, self.answer.is_some());
        self.inner.nodes.lock()[self.at] = self.answer;
    }
}

async fn keep_asking<M: Replicated>(inner: Weak<Inner<M>>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        // One that dies right after it answered is out within two intervals.
        inner.ask_all(every.mul_f64(0.9)).await;
    }
}

impl<M: Replicated> fmt::Debug for Replicas<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas")
            .field("balance", &self.0.balance)
            .finish_non_exhaustive()
    }
}
