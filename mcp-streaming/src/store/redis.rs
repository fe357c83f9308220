//! A store in Redis. Each stream is one hash of events by number; each call is
//! one script, so that a stream is never seen half changed. All keys of a
//! session share a hash tag, and so a node of a cluster.

use super::{EventStore, OutOfTurn, Page, StoreError, StreamKey};
use crate::{
    ConfigError, EVENT_OVERHEAD_BYTES, SessionId,
    config::{check, check_bytes, check_time},
};
use async_trait::async_trait;
use bytes::Bytes;
use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use serde::{Deserialize, Serialize};
use std::{fmt, fmt::Write as _, time::Duration};

/// Keeps an event, lets the oldest ones go, and notes the stream in its
/// session's set; 0 if the number is out of turn. Numbers are printed as integers, which they are up to 2^53.
const APPEND: &str = r"
local key, seq, overhead = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[5])
local first, last = redis.call('HGET', key, 'first'), redis.call('HGET', key, 'last')
if first and (seq < tonumber(first) or seq > tonumber(last) + 1) then return 0 end
if not first then
  first, last = ARGV[1], string.format('%.0f', seq - 1)
  redis.call('HSET', key, 'first', first, 'last', last)
end
for n = tonumber(last), seq, -1 do
  local name = string.format('%.0f', n)
  redis.call('HINCRBY', key, 'bytes', -(redis.call('HSTRLEN', key, name) + overhead))
  redis.call('HDEL', key, name)
end
redis.call('HSET', key, ARGV[1], ARGV[2], 'last', ARGV[1])
local bytes = redis.call('HINCRBY', key, 'bytes', #ARGV[2] + overhead)
local n = tonumber(first)
while bytes > tonumber(ARGV[3]) and n < seq do
  local name = string.format('%.0f', n)
  bytes = redis.call('HINCRBY', key, 'bytes', -(redis.call('HSTRLEN', key, name) + overhead))
  redis.call('HDEL', key, name)
  n = n + 1
end
redis.call('HSET', key, 'first', string.format('%.0f', n))
redis.call('PEXPIRE', key, ARGV[4])
redis.call('SADD', KEYS[2], key)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
";

/// The first number, whether that is all, and the events from it on; nothing
/// where there is no such stream or no such event.
const READ: &str = r"
local key, after = KEYS[1], tonumber(ARGV[1])
local first, last = redis.call('HGET', key, 'first'), redis.call('HGET', key, 'last')
if not first or after > tonumber(last) then return {} end
local n, bytes = math.max(after + 1, tonumber(first)), 0
local out = {string.format('%.0f', n), '1'}
while n <= tonumber(last) do
  local data = redis.call('HGET', key, string.format('%.0f', n))
  bytes = bytes + #data + tonumber(ARGV[3])
  if bytes > tonumber(ARGV[2]) and #out > 2 then out[2] = '0' break end
  out[#out + 1] = data
  n = n + 1
end
return out
";

const REMOVE: &str = r"
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
";

/// What a [`RedisStore`] can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisStoreConfig {
    /// Where it is. Default `redis://127.0.0.1:6379`.
    pub url: String,
    /// What all keys begin with. Default `mcp:events`.
    pub prefix: String,
    /// Bytes kept of one stream; the oldest events go first. Default 1 MiB.
    pub stream_bytes_max: u64,
    /// How long a stream is kept after its last event. Default `1h`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub keep: Duration,
    /// How long one call, or one try to connect, may take. Default `2s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub timeout: Duration,
}

impl Default for RedisStoreConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".into(),
            prefix: "mcp:events".into(),
            stream_bytes_max: 1 << 20,
            keep: Duration::from_secs(3600),
            timeout: Duration::from_secs(2),
        }
    }
}

impl RedisStoreConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_bytes(self.stream_bytes_max, "stream_bytes_max")?;
        check_time(self.keep, "keep")?;
        check_time(self.timeout, "timeout")?;
        check(
            !self.prefix.contains(['{', '}']),
            "prefix",
            "must not contain braces, which mark what a cluster keeps together",
        )?;
        let opened = Client::open(self.url.as_str());
        check(opened.is_ok(), "url", "is no address of a Redis server")
    }
}

/// Keeps events in Redis, over one connection that is made again when it breaks.
#[derive(Clone)]
pub struct RedisStore {
    config: RedisStoreConfig,
    connection: ConnectionManager,
    append: Script,
    read: Script,
    remove: Script,
}

impl RedisStore {
    /// Connects.
    ///
    /// # Errors
    /// The configuration makes no sense, or the server cannot be reached.
    pub async fn connect(config: &RedisStoreConfig) -> Result<Self, StoreError> {
        config.validate().map_err(|error| StoreError {
            source: error.into(),
            is_retryable: false,
        })?;
        let limits = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(config.timeout))
            .set_response_timeout(Some(config.timeout))
            .set_number_of_retries(1);
        let client = Client::open(config.url.as_str()).map_err(failed)?;
        let connection = ConnectionManager::new_with_config(client, limits);
        Ok(Self {
            connection: connection.await.map_err(failed)?,
            config: config.clone(),
            append: Script::new(APPEND),
            read: Script::new(READ),
            remove: Script::new(REMOVE),
        })
    }

    /// The set of a session's streams. An owner is any text, so its bytes are
    /// written out.
    fn session_key(&self, owner: &str, session: &SessionId) -> String {
        let mut key = format!("{}:{{", self.config.prefix);
        for byte in owner.bytes() {
            // Writing to a string cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        let _ = write!(key, ":{session}}}");
        key
    }

    fn stream_key(&self, key: &StreamKey) -> String {
        let session = self.session_key(&key.owner, &key.session);
        format!("{session}:{}", key.origin)
    }
}

fn failed(error: RedisError) -> StoreError {
    StoreError {
        is_retryable: error.is_io_error() || error.is_timeout() || error.is_connection_dropped(),
        source: error.into(),
    }
}

#[async_trait]
impl EventStore for RedisStore {
    async fn append(&self, key: &StreamKey, seq: u64, data: Bytes) -> Result<(), StoreError> {
        let keep_ms = u64::try_from(self.config.keep.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.append.key(self.stream_key(key));
        call.key(self.session_key(&key.owner, &key.session))
            .arg(seq)
            .arg(&*data)
            .arg(self.config.stream_bytes_max)
            .arg(keep_ms)
            .arg(EVENT_OVERHEAD_BYTES);
        let mut connection = self.connection.clone();
        let kept: u64 = call.invoke_async(&mut connection).await.map_err(failed)?;
        match kept {
            0 => Err(OutOfTurn { seq }.into()),
            _ => Ok(()),
        }
    }

    async fn read_after(
        &self,
        key: &StreamKey,
        after: u64,
        bytes_max: u64,
    ) -> Result<Option<Page>, StoreError> {
        let mut call = self.read.key(self.stream_key(key));
        call.arg(after).arg(bytes_max).arg(EVENT_OVERHEAD_BYTES);
        let mut connection = self.connection.clone();
        let answer: Vec<Vec<u8>> = call.invoke_async(&mut connection).await.map_err(failed)?;
        let mut answer = answer.into_iter();
        let (Some(first), Some(is_last)) = (answer.next(), answer.next()) else {
            return Ok(None);
        };
        let first = std::str::from_utf8(&first)
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let first = first.ok_or_else(|| StoreError {
            source: "the stored stream has no number".into(),
            is_retryable: false,
        })?;
        Ok(Some(Page {
            missed: first.saturating_sub(after.saturating_add(1)),
            events: (first..).zip(answer.map(Bytes::from)).collect(),
            is_last: is_last == b"1",
        }))
    }

    async fn remove(&self, owner: &str, session: &SessionId) -> Result<(), StoreError> {
        let call = self.remove.key(self.session_key(owner, session));
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection).await.map_err(failed)
    }
}

/// The address may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.config.prefix)
            .finish_non_exhaustive()
    }
}
