//! Full-text search: the index says which rows match best, the database what is in them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::Instant};
use tokio_postgres::Row;

use super::{
    PostgresStore,
    group::BEGIN,
    log::{changes_after, read_changes},
    rows::{alive, columns, memory, weight},
    text::stored,
};
use crate::{
    adapters::postgres::{Session, Sql, Step, values},
    call::Call,
    memory::{
        Found, Hit, MemoryError, Owner, Search,
        search::{Basis, Overlay, Query},
    },
};

/// How often a search is run although what it finds is changed before it is read. Then it holds up
/// the writes for the time of two round trips.
const ATTEMPTS_MAX: u32 = 3;

/// What was found, best first, up to so much text; and how much it all is.
const FETCH: Sql = Sql {
    name: "memory.search",
    text: concat!(
        "SELECT * FROM (SELECT ",
        columns!(),
        ", f.n, sum(",
        weight!(),
        ") OVER (ORDER BY f.n) AS bytes
            FROM unnest($1::bigint[]) WITH ORDINALITY AS f(place, n)
            JOIN mcp_server.memory m USING (place)
           WHERE m.owner = $2 AND ($3::text IS NULL OR m.namespace = $3) AND ",
        alive!(),
        ") found WHERE bytes <= $4 ORDER BY n"
    ),
};
/// How many there would be without that limit, how many changes there were of them since, and how
/// many of them there are at all.
const TOUCHED: Sql = Sql {
    name: "memory.touched",
    text: concat!(
        "SELECT (SELECT count(*) FROM mcp_server.memory m
                  WHERE m.place = ANY($1) AND m.owner = $2
                    AND ($3::text IS NULL OR m.namespace = $3) AND ",
        alive!(),
        "), (SELECT count(*) FROM mcp_server.change c WHERE c.sequence > $4 AND c.place = ANY($1)),
            (SELECT count(*) FROM mcp_server.memory m WHERE m.place = ANY($1))"
    ),
};

impl PostgresStore {
    /// Searches what was committed.
    pub(super) async fn search_committed(
        &self,
        call: &Call,
        search: &Search,
    ) -> Result<Found, MemoryError> {
        let Some(query) = Query::new(&call.owner, search, Timestamp::now().as_millisecond()) else {
            return Ok(Found::default());
        };
        let query = Arc::new(query);
        for _ in 0..ATTEMPTS_MAX {
            let basis = self.ranked(call, &query).await?;
            if let Some(found) = self.fetched(call, search, basis).await? {
                return Ok(found);
            }
        }
        let mut session = self.database.primary(call.lane, call.deadline).await?;
        session.begin(BEGIN).await?;
        let found = self
            .search_within(&mut session, &call.owner, search)
            .await?;
        session.commit().await?;
        Ok(found)
    }

    /// Has the index take up what is in the log, and ranks.
    async fn ranked(&self, call: &Call, query: &Arc<Query>) -> Result<Basis, MemoryError> {
        let (index, query, deadline) = (self.index.clone(), query.clone(), call.deadline);
        let lag_max = index.lag_max();
        loop {
            let upto = index.upto();
            let steps = vec![changes_after(upto, lag_max.saturating_add(1))];
            let rows = self
                .read(call, upto, steps)
                .await?
                .pop()
                .unwrap_or_default();
            let (index, query) = (index.clone(), query.clone());
            let ranked = spawn_blocking(move || {
                let stop = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
                let (head, changes) = read_changes(&rows).map_err(|error| internal(&error))?;
                let first = changes.first().map_or(head + 1, |(first, _)| *first);
                index.reaches(&Overlay::default(), upto, head, first)?;
                if !index.absorb(upto, changes)? {
                    return Ok(None);
                }
                let basis = index.ranked(&query, &stop)?;
                // A search that was stopped ends with what it has, which is not the answer.
                if stop() {
                    return Err(MemoryError::Timeout);
                }
                // The indexer may have shown another index in between, which is behind.
                Ok((basis.upto >= head).then_some(basis))
            });
            if let Some(basis) = ranked.await.map_err(|error| internal(&error))?? {
                return Ok(basis);
            }
        }
    }

    /// Reads what was found; `None` if that was changed meanwhile.
    async fn fetched(
        &self,
        call: &Call,
        search: &Search,
        basis: Basis,
    ) -> Result<Option<Found>, MemoryError> {
        if basis.matches.is_empty() {
            return Ok(Some(Found {
                basis: Some(Arc::new(basis)),
                ..Found::default()
            }));
        }
        let steps = self.fetch(&call.owner, search, &basis);
        let rows = self.read(call, basis.upto, steps).await?;
        let [fetched, touched] = &rows[..] else {
            return Err(internal(&"a step was left unanswered"));
        };
        let counts = Counts::of(touched);
        if counts.changes > 0 {
            return Ok(None);
        }
        if counts.all < basis.matches.len() as u64 {
            // Nothing was changed: only a damaged index names such a row.
            return Err(self.index.unusable("it names a row that is not there"));
        }
        let mut found = self.found(fetched, touched, &basis)?;
        found.basis = Some(Arc::new(basis));
        Ok(Some(found))
    }

    /// Searches in the transaction of `session`, which was begun by [`BEGIN`]; its own changes are
    /// found, too.
    pub(super) async fn search_within(
        &self,
        session: &mut Session,
        owner: &Owner,
        search: &Search,
    ) -> Result<Found, MemoryError> {
        let Some(query) = Query::new(owner, search, Timestamp::now().as_millisecond()) else {
            return Ok(Found::default());
        };
        let index = self.index.clone();
        let basis = loop {
            let upto = index.upto();
            let step = changes_after(upto, index.lag_max().saturating_add(1));
            let rows = session.pipeline(&[step]).await?.pop().unwrap_or_default();
            let (index, query) = (index.clone(), query.clone());
            let ranked = spawn_blocking(move || {
                let (head, changes) = read_changes(&rows).map_err(|error| internal(&error))?;
                let first = changes.first().map_or(head + 1, |(first, _)| *first);
                index.reaches(&Overlay::default(), upto, head, first)?;
                let mut own = Overlay::default();
                for (_, change) in changes {
                    own.apply(change);
                }
                let layers = index.read();
                // What is committed has not changed since: this transaction holds the log.
                if layers.upto < upto {
                    return Ok(None);
                }
                index
                    .guarded(&layers, Some(&own), head, &query, &|| false)
                    .map(Some)
            });
            if let Some(basis) = ranked.await.map_err(|error| internal(&error))?? {
                break basis;
            }
        };
        let steps = self.fetch(owner, search, &basis);
        let rows = session.pipeline(&steps).await?;
        let mut found = self.found(&rows[0], &rows[1], &basis)?;
        found.basis = Some(Arc::new(basis));
        Ok(found)
    }

    fn fetch(&self, owner: &Owner, search: &Search, basis: &Basis) -> Vec<Step> {
        let places: Vec<i64> = basis.matches.iter().map(|found| found.row).collect();
        let owner = stored(owner.as_str()).into_owned();
        let namespace = search
            .namespace
            .as_deref()
            .map(|name| stored(name).into_owned());
        let bytes_max = i64::try_from(self.answer_bytes_max).unwrap_or(i64::MAX);
        vec![
            Step {
                sql: &FETCH,
                values: values![places.clone(), owner.clone(), namespace.clone(), bytes_max],
            },
            Step {
                sql: &TOUCHED,
                values: values![places, owner, namespace, basis.upto],
            },
        ]
    }

    fn found(&self, fetched: &[Row], touched: &[Row], basis: &Basis) -> Result<Found, MemoryError> {
        let mut found = Found {
            truncated: (fetched.len() as u64) < Counts::of(touched).fitting,
            ..Found::default()
        };
        for row in fetched {
            let number = usize::try_from(row.get::<_, i64>(9)).unwrap_or(1) - 1;
            found.memories.push(Hit {
                memory: Arc::new(memory(row)?),
                score: f64::from(basis.matches[number].score),
            });
        }
        Ok(found)
    }
}

/// What [`TOUCHED`] says of what was found.
struct Counts {
    fitting: u64,
    changes: u64,
    all: u64,
}

impl Counts {
    fn of(touched: &[Row]) -> Self {
        let count = |column| touched.first().map_or(0, |row| row.get::<_, i64>(column));
        Self {
            fitting: count(0).unsigned_abs(),
            changes: count(1).unsigned_abs(),
            all: count(2).unsigned_abs(),
        }
    }
}

fn internal(error: &dyn std::fmt::Display) -> MemoryError {
    MemoryError::Internal {
        reason: error.to_string(),
    }
}
