//! The traits of a second tier, in Redis' commands.

use super::{
    RedisConfig, error,
    feed::Messages,
    gather::Gather,
    link::is_replica,
    look::{Joint, counted, is_of_another_kind},
    pool::Pool,
    script, unexpected,
};
use crate::{
    RemoteError,
    remote::{Backplane, Feed, Found, Joined, RemoteStore, Stamped},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, Script, Value};
use std::{fmt, sync::Arc, time::Duration};

/// Redis, as the store and the backplane of a second tier. Connects when it is
/// first asked, again whenever a connection breaks, and never makes a caller wait
/// for that longer than its own deadline.
pub struct RedisStore {
    pool: Arc<Pool>,
    gather: Gather,
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
            pool: Arc::new(Pool::new(config)?),
            gather: Gather::new(),
            publish: Script::new(script::PUBLISH),
        })
    }
}

#[async_trait]
impl RemoteStore for RedisStore {
    async fn get(&self, keys: &[Bytes]) -> Result<Found, RemoteError> {
        self.gather.look(&self.pool, keys).await
    }

    async fn stamps(&self, slots: &[u32]) -> Result<Stamped, RemoteError> {
        let mut command = Cmd::with_capacity(slots.len() + 3, 64 + slots.len() * 6);
        command.arg("HMGET");
        command.arg(&self.pool.shared().names.stamps);
        command.arg("base").arg(slots);
        let mut used = self.pool.get().await?;
        let values = match used.connection.ask(&command).await {
            Err(failed) if is_of_another_kind(&failed) => {
                let _ = used.done(Ok(()));
                return Ok(Stamped::default());
            }
            answer => used.done(answer)?,
        };
        let Value::Array(values) = values else {
            return Err(unexpected("stamps"));
        };
        let Some((base, stamps)) = values
            .split_first()
            .filter(|_| values.len() == slots.len() + 1)
        else {
            return Err(unexpected("stamps"));
        };
        // A stamp that nobody can read may be any: all that has it is dead.
        let stamp = |value: &Value| match value {
            Value::Nil => 0,
            value => counted(value).unwrap_or(u64::MAX),
        };
        Ok(Stamped {
            base: counted(base),
            stamps: stamps.iter().map(stamp).collect(),
        })
    }

    async fn set(&self, records: &[(Bytes, Bytes, Duration)]) -> Result<(), RemoteError> {
        let prefix = &self.pool.shared().names.prefix;
        let mut used = self.pool.get_bulk().await?;
        let command = |pipeline: &mut Pipeline, (key, record, ttl): &(Bytes, Bytes, Duration)| {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let set = pipeline.cmd("SET").arg(Joint(prefix, key)).arg(&record[..]);
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
        if joined.as_ref().is_err_and(is_replica) {
            self.pool.close_all("it is a replica");
        }
        used.done(joined)?
    }

    async fn publish(&self, slots: &[u32], body: &[u8]) -> Result<Option<u64>, RemoteError> {
        let mut used = self.pool.get().await?;
        let names = &self.pool.shared().names;
        let mut call = self.publish.key(&names.epoch);
        call.key(&names.stamps)
            .arg(&names.channel)
            .arg(body)
            .arg(u8::from(!used.connection.is_whole()))
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

fn all_ok(values: &[Value]) -> Result<(), RemoteError> {
    match values.iter().find(|value| **value != Value::Okay) {
        None => Ok(()),
        Some(Value::ServerError(refused)) => Err(RemoteError::Refused {
            reason: refused.to_string(),
        }),
        Some(_) => Err(unexpected("a set")),
    }
}
