//! Records and the epoch, in one round trip.

use super::{connect::Connection, number, pool::Pool, unexpected};
use crate::{RemoteError, remote::Found};
use bytes::Bytes;
use futures_util::future::{join, try_join_all};
use redis::{Cmd, RedisResult, RedisWrite, ToRedisArgs, ToSingleRedisArg, Value};

/// Asks by itself.
pub(super) async fn look(pool: &Pool, keys: &[Bytes]) -> Result<Found, RemoteError> {
    let mut used = pool.get().await?;
    let (records, epoch) = if used.connection.is_whole() {
        let answer = used.connection.ask(&command(pool, keys)).await;
        let Value::Array(mut values) = used.done(answer)? else {
            return Err(unexpected("a look"));
        };
        let epoch = values.pop().unwrap_or(Value::Nil);
        (values, epoch)
    } else {
        let connection = used.connection.clone();
        let got = apart(pool, &connection, keys).await;
        used.done(got)?
    };
    if records.len() != keys.len() {
        return Err(unexpected("a look"));
    }
    let epoch = counted(&epoch);
    if let Some(epoch) = epoch {
        pool.shared().knows(epoch);
    }
    let records = records.into_iter().map(record).collect();
    Ok(Found { records, epoch })
}

/// One command: the server runs it as one, and answers a key of another kind as one
/// that is not there.
fn command(pool: &Pool, keys: &[Bytes]) -> Cmd {
    let names = &pool.shared().names;
    let len = |key: &Bytes| names.prefix.len() + key.len();
    let bytes = keys.iter().map(len).sum::<usize>() + names.epoch.len();
    let mut command = Cmd::with_capacity(keys.len() + 2, bytes + 4);
    command.arg("MGET");
    for key in keys {
        command.arg(Joint(&names.prefix, key));
    }
    command.arg(&names.epoch);
    command
}

/// On a cluster, where keys are in different places, each by itself.
async fn apart(
    pool: &Pool,
    connection: &Connection,
    keys: &[Bytes],
) -> RedisResult<(Vec<Value>, Value)> {
    let names = &pool.shared().names;
    let one = |prefix: &[u8], key: &[u8]| {
        let mut command = Cmd::new();
        command.arg("GET").arg(Joint(prefix, key));
        let mut connection = connection.clone();
        async move {
            match connection.ask(&command).await {
                // As MGET does.
                Err(failed) if is_of_another_kind(&failed) => Ok(Value::Nil),
                answer => answer,
            }
        }
    };
    let records = keys.iter().map(|key| one(&names.prefix, key));
    let epoch = one(&[], names.epoch.as_bytes());
    let (records, epoch) = join(try_join_all(records), epoch).await;
    Ok((records?, epoch?))
}

fn record(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

/// `None` also for what no script wrote, which counts as lost.
pub(super) fn counted(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(text) => number(text),
        _ => None,
    }
}

/// The server says that a key holds no string, or no hash, where one was expected.
pub(super) fn is_of_another_kind(failed: &redis::RedisError) -> bool {
    failed.code() == Some("WRONGTYPE")
}

/// Two parts of one argument.
pub(super) struct Joint<'a>(pub(super) &'a [u8], pub(super) &'a [u8]);

impl ToRedisArgs for Joint<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use bytes::BufMut;
        let mut arg = out.bufmut_for_next_arg(self.0.len() + self.1.len());
        arg.put_slice(self.0);
        arg.put_slice(self.1);
    }
}

impl ToSingleRedisArg for Joint<'_> {}
