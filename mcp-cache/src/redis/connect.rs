//! Connections to the three kinds of endpoints.

use super::{RedisConfig, RedisEndpoint};
use futures_util::future::select_ok;
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
    /// One client for each sentinel, since one of several asks them in their order,
    /// and one that hangs would hold up those behind it.
    Sentinel(Vec<Mutex<SentinelClient>>),
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

    fn of_sentinel(&self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
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

    fn of_sentinel(&self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
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
                let account = (username.as_deref(), password.as_deref());
                let client = |url: &String| sentinel(url, service, account, &certificates);
                let clients = urls.iter().map(|url| Ok(Mutex::new(client(url)?)));
                Self::Sentinel(clients.collect::<RedisResult<_>>()?)
            }
            RedisEndpoint::Cluster { urls } => {
                let nodes = urls.iter().map(|url| certificates.open(url));
                let nodes: Vec<_> = nodes.collect::<RedisResult<_>>()?;
                let mut builder = ClusterClient::builder(urls.iter().map(String::as_str))
                    .connection_timeout(config.connect_timeout)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .retries(1);
                // With certificates it speaks TLS to whomever.
                if nodes
                    .iter()
                    .any(|node| is_tls(node.get_connection_info().addr()))
                {
                    builder = certificates.of_cluster(builder);
                }
                Self::Cluster {
                    nodes,
                    client: Box::new(builder.build()?),
                    next: AtomicUsize::new(0),
                }
            }
        })
    }

    /// Whether its connections are.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Self::Cluster { .. })
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
            Self::Sentinel(sentinels) => {
                let master = master(sentinels).await?;
                let made = master.get_multiplexed_async_connection_with_config(&config);
                Connection::Single(made.await?)
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
            Self::Sentinel(sentinels) => master(sentinels).await?.get_async_pubsub().await,
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

/// Asks one sentinel.
fn sentinel(
    url: &str,
    service: &str,
    (username, password): (Option<&str>, Option<&str>),
    certificates: &Certificates,
) -> RedisResult<SentinelClient> {
    let info = url.into_connection_info()?;
    let (address, settings) = (info.addr(), info.redis_settings());
    let is_tls = is_tls(address);
    let master = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new([address.clone()], service, master)?
        .set_client_to_redis_db(settings.db());
    if let Some(username) = settings.username() {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if is_tls {
        builder = certificates.of_sentinel(builder);
    }
    if let Some(username) = username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_redis_password(password);
    }
    builder.build()
}

/// The master, by whichever sentinel is the first to name one that is.
async fn master(sentinels: &[Mutex<SentinelClient>]) -> RedisResult<Client> {
    let asked = sentinels
        .iter()
        .map(|sentinel| Box::pin(async move { sentinel.lock().await.async_get_client().await }));
    Ok(select_ok(asked).await?.0)
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
