//! The traits of a second tier, in Redis' commands.

use super::{
    RedisConfig, connect::Connection, error, feed::Messages, pool::Pool, script, unexpected,
};
use crate::{
    RemoteError,
    remote::{Backplane, Feed, Found, Joined, RemoteStore, Stamped},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{join, try_join_all};
use redis::{Pipeline, RedisResult, Script, Value};
use std::{fmt, time::Duration};

/// Redis, as the store and the backplane of a second tier. Connects when it is
/// first asked, again whenever a connection breaks, and never makes a caller wait
/// for that longer than its own deadline.
pub struct RedisStore {
    pool: Pool,
    publish: Script,
}

impl RedisStore {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// A field of the configuration makes no sense, or an address cannot be read.
    pub fn new(config: &RedisConfig) -> Result<Self, RemoteError> {
        config.validate().map_err(|invalid| RemoteError::Refused {
            reason: invalid.to_string(),
        })?;
        Ok(Self {
            pool: Pool::new(config)?,
            publish: Script::new(script::PUBLISH),
        })
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.pool.shared().names.prefix, key].concat()
    }

    /// The answers to a pipeline, errors of the server included.
    async fn send(&self, pipeline: &Pipeline, len: usize) -> Result<Vec<Value>, RemoteError> {
        let mut used = self.pool.get().await?;
        let sent = used.connection.send(pipeline, len).await;
        let values = used.done(sent)?;
        match values.len() == len {
            true => Ok(values),
            false => Err(unexpected("a pipeline")),
        }
    }

    /// On a cluster, where keys are in different places, each by itself.
    async fn get_apart(
        &self,
        connection: &Connection,
        keys: &[Bytes],
    ) -> RedisResult<(Vec<Value>, Value)> {
        let one = |command: &'static str, key: Vec<u8>| {
            let mut connection = connection.clone();
            async move {
                let mut pipeline = redis::pipe();
                pipeline.cmd(command).arg(key);
                let mut values = connection.send(&pipeline, 1).await?;
                Ok::<_, redis::RedisError>(values.pop().unwrap_or(Value::Nil))
            }
        };
        let records = keys.iter().map(|key| one("GET", self.key(key)));
        let epoch = one("GET", self.pool.shared().names.epoch.clone().into_bytes());
        let (records, epoch) = join(try_join_all(records), epoch).await;
        Ok((records?, epoch?))
    }
}

#[async_trait]
impl RemoteStore for RedisStore {
    async fn get(&self, keys: &[Bytes]) -> Result<Found, RemoteError> {
        let mut used = self.pool.get().await?;
        let (records, epoch) = if used.connection.is_whole() {
            let mut pipeline = Pipeline::with_capacity(keys.len() + 1);
            for key in keys {
                pipeline.cmd("GET").arg(self.key(key));
            }
            pipeline.cmd("GET").arg(&self.pool.shared().names.epoch);
            let sent = used.connection.send(&pipeline, keys.len() + 1).await;
            let mut values = used.done(sent)?;
            let epoch = values.pop().unwrap_or(Value::Nil);
            (values, epoch)
        } else {
            let connection = used.connection.clone();
            let got = self.get_apart(&connection, keys).await;
            used.done(got)?
        };
        let epoch = number(&epoch)?;
        if let Some(epoch) = epoch {
            self.pool.shared().knows(epoch);
        }
        let records = records.into_iter().map(record).collect();
        Ok(Found { records, epoch })
    }

    async fn stamps(&self, slots: &[u32]) -> Result<Stamped, RemoteError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline
            .cmd("HMGET")
            .arg(&self.pool.shared().names.stamps)
            .arg("base")
            .arg(slots);
        let mut values = self.send(&pipeline, 1).await?;
        let values = match values.pop() {
            Some(Value::Array(values)) if values.len() == slots.len() + 1 => values,
            // Of another kind, or gone: there is no base.
            _ => return Ok(Stamped::default()),
        };
        let base = number(&values[0])?;
        let stamps = values[1..]
            .iter()
            .map(|value| Ok(number(value)?.unwrap_or(0)));
        Ok(Stamped {
            base,
            stamps: stamps.collect::<Result<_, RemoteError>>()?,
        })
    }

    async fn set(&self, records: &[(Bytes, Bytes, Duration)]) -> Result<(), RemoteError> {
        let mut used = self.pool.get().await?;
        let command = |pipeline: &mut Pipeline, (key, record, ttl): &(Bytes, Bytes, Duration)| {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let set = pipeline.cmd("SET").arg(self.key(key)).arg(&record[..]);
            set.arg("PX").arg(ttl_ms);
        };
        if used.connection.is_whole() {
            let mut pipeline = Pipeline::with_capacity(records.len());
            records
                .iter()
                .for_each(|record| command(&mut pipeline, record));
            let sent = used.connection.send(&pipeline, records.len()).await;
            return used.done(sent).and_then(|values| all_ok(&values));
        }
        let connection = used.connection.clone();
        let sets = records.iter().map(|record| {
            let mut connection = connection.clone();
            let mut pipeline = redis::pipe();
            command(&mut pipeline, record);
            async move { connection.send(&pipeline, 1).await }
        });
        let sent = try_join_all(sets).await;
        used.done(sent).and_then(|values| all_ok(&values.concat()))
    }
}

#[async_trait]
impl Backplane for RedisStore {
    async fn join(&self, known: u64, force: bool, forget: &[u8]) -> Result<Joined, RemoteError> {
        let mut used = self.pool.get().await?;
        let shared = self.pool.shared();
        let joined = shared
            .join_on(&mut used.connection, known, force, forget)
            .await;
        used.done(joined)?
    }

    async fn epoch(&self) -> Result<Option<u64>, RemoteError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.cmd("GET").arg(&self.pool.shared().names.epoch);
        let values = self.send(&pipeline, 1).await?;
        number(&values[0])
    }

    async fn publish(&self, slots: &[u32], body: &[u8]) -> Result<Option<u64>, RemoteError> {
        let mut used = self.pool.get().await?;
        let names = &self.pool.shared().names;
        let mut call = self.publish.key(&names.epoch);
        call.key(&names.stamps)
            .arg(&names.channel)
            .arg(body)
            .arg(slots);
        let sent = used.connection.invoke(&call).await;
        let number = match used.done(sent)? {
            Value::Int(number) => u64::try_from(number).unwrap_or(0),
            _ => return Err(unexpected("an invalidation")),
        };
        self.pool.shared().knows(number);
        Ok(Some(number).filter(|number| *number > 0))
    }

    async fn subscribe(&self) -> Result<Box<dyn Feed>, RemoteError> {
        let shared = self.pool.shared();
        let listens = shared.endpoint.listen().await;
        let mut listens = listens.map_err(|failed| error(&failed))?;
        let subscribed = listens.subscribe(&shared.names.channel).await;
        subscribed.map_err(|failed| error(&failed))?;
        Ok(Box::new(Messages(Box::pin(listens.into_on_message()))))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// A key of another kind holds no record that anybody wrote: the next one is put
/// in its place.
fn record(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::Nil => None,
        _ => Some(Bytes::new()),
    }
}

/// `None` also for a key of another kind, which counts as lost.
fn number(value: &Value) -> Result<Option<u64>, RemoteError> {
    match value {
        Value::BulkString(bytes) => {
            let text = std::str::from_utf8(bytes).ok();
            let number = text.and_then(|text| text.parse().ok());
            number.map(Some).ok_or_else(|| unexpected("a number"))
        }
        Value::Nil | Value::ServerError(_) => Ok(None),
        _ => Err(unexpected("a number")),
    }
}

fn all_ok(values: &[Value]) -> Result<(), RemoteError> {
    match values.iter().find(|value| **value != Value::Okay) {
        None => Ok(()),
        Some(Value::ServerError(refused)) => Err(RemoteError::Refused {
            reason: refused.to_string(),
        }),
        Some(_) => Err(unexpected("a set")),
    }
}
