//! The second tier on Redis (or what speaks its protocol): one server, the
//! master of a group under sentinels, or a cluster.
//!
//! | key | what it holds |
//! |---|---|
//! | `{mcp}:epoch` | the number of the last invalidation |
//! | `{mcp}:stamps` | a hash: the slots' stamps, `base`, and `run`, the process that made the base |
//! | `{mcp}:bus` | the channel of messages, each with its number |
//! | `mcp:<cache>:<key>` | a record |
//!
//! Where `mcp` stands for the namespace. The first three share a hash tag, so that
//! a cluster has them on one node and numbers are contiguous.

mod config;
mod connect;
mod feed;
mod gather;
mod link;
mod look;
mod pool;
mod script;
mod store;
#[cfg(feature = "redis-tls")]
mod tls;

pub use config::{RedisConfig, RedisEndpoint, RedisTls};
pub use store::RedisStore;

use crate::RemoteError;

/// What the client says, in the tier's words.
fn error(error: &redis::RedisError) -> RemoteError {
    let reason = error.to_string();
    match error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        true => RemoteError::Unreachable { reason },
        false => RemoteError::Refused { reason },
    }
}

/// A number as the scripts count: from 1 to below 2^53. Whatever else is there is
/// nothing that they wrote.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let counted = |number: &u64| (1..1 << 53).contains(number);
    text.parse().ok().filter(counted)
}

/// An answer of a form that was not asked for.
fn unexpected(what: &str) -> RemoteError {
    RemoteError::Refused {
        reason: format!("an answer of another form to {what}"),
    }
}
