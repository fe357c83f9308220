//! Redis by the `redis` crate.

use crate::{
    manager::Manager,
    managers::{
        Driver,
        socket::{Pending, Probe, Socket},
    },
};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, aio::MultiplexedConnection,
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
};

const UNSUPPORTED: &str = "only redis:// and redis+unix:// addresses are supported";

/// Makes connections to Redis.
///
/// One connection carries the commands of many callers, so a pool of them is
/// for what holds a connection to itself: transactions with `WATCH`, blocking
/// commands, large values. No answer is given up on: who limits the wait for one
/// retires the connection when the time is up. Nothing is reset on return; whoever
/// leaves a `WATCH`, `MULTI`, another `SELECT` or a subscription behind retires it
/// too.
#[derive(Debug, Clone)]
pub struct Redis(ConnectionInfo);

impl Redis {
    /// Connects to an address like `redis://host:6379/0` or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    /// The address makes no sense.
    pub fn new(address: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        let info = address.into_connection_info()?;
        match info.addr() {
            ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) => Ok(Self(info)),
            _ => Err((ErrorKind::InvalidClientConfig, UNSUPPORTED).into()),
        }
    }
}

/// A connection to Redis, with the commands of its target.
pub struct Connection {
    commands: MultiplexedConnection,
    driver: Driver,
    probe: Probe,
}

impl Deref for Connection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.commands
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.commands
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Manager for Redis {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let socket = match self.0.addr() {
            ConnectionAddr::Tcp(host, port) => Socket::tcp(host, *port).await?,
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Socket::unix(path).await?,
            _ => return Err((ErrorKind::InvalidClientConfig, UNSUPPORTED).into()),
        };
        let probe = socket.probe()?;
        let (settings, options) = (self.0.redis_settings(), AsyncConnectionConfig::new());
        // How long an answer may take is the borrower's to say: a late one would
        // otherwise hold up the next borrower of a connection that looks sound.
        let options = options.set_response_timeout(None);
        // The driver is ours, because its end is how a broken transport shows.
        let (commands, driver) =
            MultiplexedConnection::new_with_config(settings, socket, options).await?;
        Ok(Connection {
            commands,
            driver: Driver::spawn(driver),
            probe,
        })
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), RedisError> {
        redis::cmd("PING")
            .query_async(&mut connection.commands)
            .await
    }

    fn is_open(&self, connection: &mut Connection) -> bool {
        connection.driver.is_running() && connection.probe.look() != Pending::End
    }

    fn is_permanent(&self, error: &RedisError) -> bool {
        matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig
        )
    }
}
