//! Redis by the `redis` crate.

use crate::{manager::Manager, managers::Driver};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, aio::MultiplexedConnection,
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
};
use tokio::net::{TcpStream, UnixStream};

/// Makes connections to Redis.
///
/// One connection carries the commands of many callers, so a pool of them is
/// for what holds a connection to itself: transactions with `WATCH`, blocking
/// commands, large values.
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
            _ => {
                let why = "only redis:// and redis+unix:// addresses are supported";
                Err((ErrorKind::InvalidClientConfig, why).into())
            }
        }
    }
}

/// A connection to Redis, with the commands of its target.
pub struct Connection {
    commands: MultiplexedConnection,
    driver: Driver,
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
        let settings = self.0.redis_settings();
        let options = AsyncConnectionConfig::new();
        // The driver is ours, because its end is how a broken transport shows.
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let (commands, driver) =
                    MultiplexedConnection::new_with_config(settings, stream, options).await?;
                Ok(connection(commands, driver))
            }
            ConnectionAddr::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let (commands, driver) =
                    MultiplexedConnection::new_with_config(settings, stream, options).await?;
                Ok(connection(commands, driver))
            }
            _ => Err((
                ErrorKind::InvalidClientConfig,
                "not an address of this manager",
            )
                .into()),
        }
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), RedisError> {
        redis::cmd("PING")
            .query_async(&mut connection.commands)
            .await
    }

    fn is_open(&self, connection: &mut Connection) -> bool {
        connection.driver.is_running()
    }

    fn is_permanent(&self, error: &RedisError) -> bool {
        matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig
        )
    }
}

fn connection(
    commands: MultiplexedConnection,
    driver: impl Future<Output = ()> + Send + 'static,
) -> Connection {
    Connection {
        commands,
        driver: Driver::spawn(driver),
    }
}
