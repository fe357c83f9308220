//! Statements on a connection on loan.

use std::{pin::Pin, sync::Arc, task::Poll, time::Duration};

use mcp_pool::{
    Balanced,
    managers::postgres::{Canceller, Connection},
};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Row, types::ToSql};

use super::{DatabaseError, Manager, Shared};
use crate::{call::Lane, telemetry::SlowOperation};

/// How much longer than the server's own limit a statement without a deadline is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// A statement, and what it is called in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A value of a statement.
pub(crate) type Value = Box<dyn ToSql + Sync + Send>;

/// A statement with its values, to be sent with others.
pub(crate) struct Step {
    pub(crate) sql: &'static Sql,
    pub(crate) values: Vec<Value>,
}

/// A connection on loan, for one caller. A statement that is given up, because its time is over or
/// its caller has gone, is cancelled at the server, and the connection is not lent again.
pub(crate) struct Session {
    lease: Balanced<Manager>,
    shared: Arc<Shared>,
    deadline: Option<Instant>,
    lane: Lane,
    is_primary: bool,
    /// A transaction was begun and has not ended.
    open: bool,
}

impl Session {
    pub(super) fn new(
        lease: Balanced<Manager>,
        shared: Arc<Shared>,
        deadline: Option<Instant>,
        lane: Lane,
        is_primary: bool,
    ) -> Self {
        Self {
            lease,
            shared,
            deadline,
            lane,
            is_primary,
            open: false,
        }
    }

    /// Whether it is a connection to the primary.
    pub(crate) fn is_primary(&self) -> bool {
        self.is_primary
    }

    /// Runs one statement.
    pub(crate) async fn query(
        &mut self,
        sql: &'static Sql,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, DatabaseError> {
        let watch = self.watch(sql.name);
        let connection: &Connection = &self.lease;
        let work = async {
            let statement = connection.prepare_cached(sql.text).await?;
            connection.query(&statement, values).await
        };
        let result = within(watch.until, work).await;
        self.seen(watch, result)
    }

    /// Sends all steps at once and takes their results in order. When one fails, those behind it do,
    /// too, if they are in one transaction.
    pub(crate) async fn pipeline(
        &mut self,
        steps: &[Step],
    ) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.send(steps, None).await
    }

    /// The same in one transaction: all is done, or nothing, which is `Err`; then
    /// [`DatabaseError::of_commit`] says whether that is certain. `begin` is run first.
    pub(crate) async fn transact(
        &mut self,
        begin: &'static str,
        steps: &[Step],
    ) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.send(steps, Some(begin)).await
    }

    async fn send(
        &mut self,
        steps: &[Step],
        begin: Option<&'static str>,
    ) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let watch = self.watch(steps.first().map_or("nothing", |step| step.sql.name));
        let connection: &Connection = &self.lease;
        let work = async {
            let mut statements = Vec::with_capacity(steps.len());
            for step in steps {
                statements.push(connection.prepare_cached(step.sql.text).await?);
            }
            let mut sent: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
            if let Some(begin) = begin {
                sent.push(Box::pin(async move {
                    connection.batch_execute(begin).await.map(|()| Vec::new())
                }));
            }
            for (step, statement) in steps.iter().zip(&statements) {
                sent.push(Box::pin(async move {
                    let values = step
                        .values
                        .iter()
                        .map(|value| &**value as &(dyn ToSql + Sync));
                    let values: Vec<_> = values.collect();
                    connection.query(statement, &values).await
                }));
            }
            if begin.is_some() {
                sent.push(Box::pin(async move {
                    connection
                        .batch_execute("COMMIT")
                        .await
                        .map(|()| Vec::new())
                }));
            }
            let results = in_order(sent).await;
            let mut rows = results.into_iter().collect::<Result<Vec<_>, _>>()?;
            if begin.is_some() {
                rows.pop();
                rows.remove(0);
            }
            Ok(rows)
        };
        let result = within(watch.until, work).await;
        self.seen(watch, result)
    }

    /// Begins a transaction, in which [`query`](Self::query) then runs, until it is
    /// [committed](Self::commit). Dropped before, it is rolled back with its connection.
    pub(crate) async fn begin(&mut self, begin: &'static str) -> Result<(), DatabaseError> {
        self.open = true;
        let watch = self.watch("begin");
        let result = within(watch.until, self.lease.batch_execute(begin)).await;
        self.seen(watch, result)
    }

    /// Runs statements without values or results, as a change of the schema has them.
    pub(crate) async fn run(&mut self, text: &str) -> Result<(), DatabaseError> {
        let watch = self.watch("run");
        let result = within(watch.until, self.lease.batch_execute(text)).await;
        self.seen(watch, result)
    }

    /// Ends the transaction.
    pub(crate) async fn commit(&mut self) -> Result<(), DatabaseError> {
        let watch = self.watch("commit");
        let result = within(watch.until, self.lease.batch_execute("COMMIT")).await;
        self.open = result.is_err();
        self.seen(watch, result)
    }

    /// From here on the connection is half-way through something.
    fn watch(&mut self, name: &'static str) -> Watch {
        self.lease.retire();
        let now = Instant::now();
        let longest = now + self.shared.statement_timeout + SILENCE;
        Watch {
            name,
            began: now,
            until: self
                .deadline
                .map_or(longest, |deadline| deadline.min(longest)),
            canceller: Some(self.lease.canceller()),
            endpoint: self.lease.endpoint(),
            shared: self.shared.clone(),
        }
    }

    /// The statement has ended, or is given up.
    fn seen<T>(
        &mut self,
        mut watch: Watch,
        result: Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let late = matches!(result, Err(DatabaseError::Late));
        if !late {
            watch.canceller = None;
        }
        let duration = watch.began.elapsed();
        let slow = &self.shared.slow;
        if slow.is_slow(duration) {
            let outcome = if late {
                "late"
            } else if result.is_ok() {
                "ok"
            } else {
                "error"
            };
            slow.note(SlowOperation::ended(
                watch.name, self.lane, duration, outcome,
            ));
        }
        match &result {
            Err(error) if error.is_of_connection() => self.lease.fail(),
            Err(error) if error.is_of_plan() => {
                self.lease.forget_statements();
                self.keep();
            }
            _ => self.keep(),
        }
        result
    }

    fn keep(&mut self) {
        if !self.open {
            self.lease.keep();
        }
    }
}

/// A statement on its way; it is cancelled when this is dropped without a result.
struct Watch {
    name: &'static str,
    began: Instant,
    until: Instant,
    /// `None` once there is a result.
    canceller: Option<Canceller>,
    endpoint: usize,
    shared: Arc<Shared>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            self.shared.cancel(self.endpoint, canceller);
        }
    }
}

async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, DatabaseError> {
    match timeout_at(until, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(DatabaseError::Late),
    }
}

/// Begins all futures in their order, and waits for all of them: what a client is asked is sent when
/// it is first polled.
async fn in_order<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *result = Some(value);
            }
        }
        match results.iter().all(Option::is_some) {
            true => Poll::Ready(results.iter_mut().filter_map(Option::take).collect()),
            false => Poll::Pending,
        }
    })
    .await
}

/// Values of a step.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$(Box::new($value) as $crate::adapters::postgres::Value),*]
    };
}
pub(crate) use values;
