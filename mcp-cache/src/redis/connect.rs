//! Connections to the three kinds of endpoints.

use super::{RedisConfig, RedisEndpoint};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, RedisResult,
    Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::Mutex;

/// How long a command may take on a connection that is shared; the tier's
/// deadline is far shorter, and this one frees what the client holds for it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes connections.
pub(super) enum Endpoint {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster {
        client: Box<ClusterClient>,
        nodes: Vec<Client>,
        /// The node that is listened to next, so that one that hears nothing is not
        /// asked again and again.
        next: AtomicUsize,
    },
}

fn is_tls(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

/// What `rediss://` addresses are opened with.
struct Certificates {
    #[cfg(feature = "redis-tls")]
    pems: redis::TlsCertificates,
}

#[cfg(feature = "redis-tls")]
impl Certificates {
    fn new(config: &RedisConfig) -> RedisResult<Self> {
        let pems = super::tls::certificates(&config.tls)?;
        Ok(Self { pems })
    }

    fn open(&self, url: &str) -> RedisResult<Client> {
        match is_tls(url.into_connection_info()?.addr()) {
            true => Client::build_with_tls(url, self.pems.clone()),
            false => Client::open(url),
        }
    }

    fn of_sentinels(&self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
        builder
            .set_client_to_sentinel_certificates(self.pems.clone())
            .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
            .set_client_to_redis_certificates(self.pems.clone())
    }

    fn of_cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        builder.certs(self.pems.clone())
    }
}

#[cfg(not(feature = "redis-tls"))]
#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "as with the feature"
)]
impl Certificates {
    fn new(_config: &RedisConfig) -> RedisResult<Self> {
        Ok(Self {})
    }

    fn open(&self, url: &str) -> RedisResult<Client> {
        Client::open(url)
    }

    fn of_sentinels(&self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
        builder
    }

    fn of_cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        builder
    }
}

/// A connection that many callers share; clones are the same.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Endpoint {
    pub(super) fn new(config: &RedisConfig) -> RedisResult<Self> {
        let certificates = Certificates::new(config)?;
        Ok(match &config.endpoint {
            RedisEndpoint::Single { url } => Self::Single(Box::new(certificates.open(url)?)),
            RedisEndpoint::Sentinel {
                urls,
                service,
                username,
                password,
            } => {
                let info = |url: &String| url.as_str().into_connection_info();
                let sentinels: Vec<_> = urls.iter().map(info).collect::<RedisResult<_>>()?;
                let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone());
                let master = SentinelServerType::Master;
                let mut builder = SentinelClientBuilder::new(addresses, service, master)?;
                if let Some(first) = sentinels.first() {
                    let settings = first.redis_settings();
                    builder = builder.set_client_to_redis_db(settings.db());
                    if let Some(username) = settings.username() {
                        builder = builder.set_client_to_sentinel_username(username);
                    }
                    if let Some(password) = settings.password() {
                        builder = builder.set_client_to_sentinel_password(password);
                    }
                    if is_tls(first.addr()) {
                        builder = certificates.of_sentinels(builder);
                    }
                }
                if let Some(username) = username {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = password {
                    builder = builder.set_client_to_redis_password(password);
                }
                Self::Sentinel(Box::new(Mutex::new(builder.build()?)))
            }
            RedisEndpoint::Cluster { urls } => {
                let nodes = urls.iter().map(|url| certificates.open(url));
                let builder = ClusterClient::builder(urls.iter().map(String::as_str))
                    .connection_timeout(config.connect_timeout)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .retries(1);
                Self::Cluster {
                    nodes: nodes.collect::<RedisResult<_>>()?,
                    client: Box::new(certificates.of_cluster(builder).build()?),
                    next: AtomicUsize::new(0),
                }
            }
        })
    }

    pub(super) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        Ok(match self {
            Self::Single(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&config);
                Connection::Single(made.await?)
            }
            Self::Sentinel(client) => {
                let mut client = client.lock().await;
                let made = client.get_async_connection_with_config(&config).await?;
                Connection::Single(made)
            }
            Self::Cluster { client, .. } => {
                Connection::Cluster(client.get_async_connection().await?)
            }
        })
    }

    /// A connection that listens: to the server that all invalidate at, or to any
    /// node of a cluster, which hears of all.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match self {
            Self::Single(client) => client.get_async_pubsub().await,
            Self::Sentinel(client) => {
                let master = client.lock().await.async_get_client().await?;
                master.get_async_pubsub().await
            }
            Self::Cluster { nodes, next, .. } => {
                let mut last = None;
                let first = next.fetch_add(1, Ordering::Relaxed) % nodes.len();
                for node in nodes.iter().cycle().skip(first).take(nodes.len()) {
                    match node.get_async_pubsub().await {
                        Ok(listens) => return Ok(listens),
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| std::io::Error::other("no nodes").into()))
            }
        }
    }
}

impl Connection {
    /// Whether keys of different slots may be asked for at once.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Single(_))
    }

    /// The answer to one command.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// One answer for each command, errors of the server included.
    pub(super) async fn send(
        &mut self,
        pipeline: &Pipeline,
        len: usize,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, 0, len).await,
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, 0, len).await,
        }
    }

    pub(super) async fn invoke(
        &mut self,
        call: &redis::ScriptInvocation<'_>,
    ) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => call.invoke_async(connection).await,
            Self::Cluster(connection) => call.invoke_async(connection).await,
        }
    }
}
