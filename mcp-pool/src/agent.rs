//! One HTTP client for all upstreams: connections are made once and used again.

use crate::{
    config::Config,
    error::{ConfigError, Error},
    pool::Pool,
    stats::Stats,
    streams::{Stream, Streams},
};
use bytes::Bytes;
use http::{Request, Response, Uri, uri::Authority};
use http_body_util::Full;
use std::{collections::HashMap, fmt, num::NonZero, sync::Arc};
use thiserror::Error as ThisError;
use tokio_rustls::rustls::ClientConfig;

mod body;
mod connector;
mod resolve;

pub use body::Body;
pub use connector::{ConnectError, Connection, Connector};
pub use resolve::{Resolve, Resolving};

/// How often a request that was never sent is tried on another connection.
const ATTEMPTS: usize = 3;

/// Which HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Version {
    /// One exchange at a time on a connection.
    #[default]
    Http1,
    /// Up to `max_in_flight` exchanges at a time on a connection; with TLS by
    /// ALPN, without by prior knowledge.
    Http2 {
        /// Keep it at or below what the upstream allows (often 100).
        max_in_flight: NonZero<usize>,
    },
}

/// What an [`Agent`] can be told.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// For the pool of each upstream.
    pub pool: Config,
    /// Which HTTP to speak.
    pub version: Version,
    /// Who is trusted; `https` addresses are refused without it. ALPN is set
    /// by the agent.
    pub tls: Option<Arc<ClientConfig>>,
    /// Who says where a host is, and whether it may be connected to. Default
    /// `None`: the system.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Whether those who wait for a connection are told at once that one cannot
    /// be made, in place of waiting up to `acquire_timeout` for a later attempt.
    /// Default false.
    pub connect_once: bool,
    /// Upstreams at a time. A further one takes the place of one that is not
    /// in use, or is refused.
    pub max_upstreams: NonZero<usize>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            pool: Config::default(),
            version: Version::Http1,
            tls: None,
            resolver: None,
            connect_once: false,
            max_upstreams: const { NonZero::new(256).expect("not zero") },
        }
    }
}

/// Why a request has no response.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SendError {
    /// The address has no host, or a scheme that is not spoken here.
    #[error("not an address this agent can reach: {0}")]
    Address(Uri),
    /// No connection.
    #[error(transparent)]
    Pool(#[from] Error),
    /// More upstreams are in use than may be.
    #[error("{limit} upstreams are in use already")]
    TooManyUpstreams {
        /// How many may be.
        limit: usize,
    },
    /// The exchange broke off.
    #[error("the exchange broke off: {0}")]
    Http(#[from] hyper::Error),
}

impl SendError {
    /// Whether a later attempt may work. A request that broke off half-way may
    /// have had its effect.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Pool(error) => error.is_retryable(),
            Self::TooManyUpstreams { .. } => true,
            Self::Address(_) | Self::Http(_) => false,
        }
    }
}

/// Sends requests over pooled connections; clones share them.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    config: AgentConfig,
    upstreams: parking_lot::Mutex<Upstreams>,
}

#[derive(Default)]
struct Upstreams {
    closed: bool,
    all: HashMap<(bool, Authority), Upstream>,
}

#[derive(Clone)]
enum Upstream {
    Http1(Pool<Connector>),
    Http2(Streams<Connector>),
}

impl Agent {
    /// An agent without any connection.
    ///
    /// # Errors
    /// The configuration of the pools makes no sense.
    pub fn new(config: AgentConfig) -> Result<Self, ConfigError> {
        config.pool.validate()?;
        Ok(Self(Arc::new(Inner {
            config,
            upstreams: parking_lot::Mutex::default(),
        })))
    }

    /// Sends a request to the upstream that its address names, and returns the
    /// head of the response. The connection of an HTTP/1 exchange is free for
    /// the next one when its body has been read to the end.
    ///
    /// # Cancel safety
    /// When it is dropped the connection is closed (HTTP/1) or the exchange
    /// reset (HTTP/2); the upstream may have acted on the request.
    ///
    /// # Errors
    /// See [`SendError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, SendError> {
        match self.upstream(request.uri())? {
            Upstream::Http1(pool) => send_http1(&pool, request).await,
            Upstream::Http2(streams) => send_http2(&streams, request).await,
        }
    }

    /// The counters of each upstream's pool.
    #[must_use]
    pub fn stats(&self) -> Vec<(Authority, Stats)> {
        let upstreams = self.0.upstreams.lock();
        let stats = upstreams
            .all
            .iter()
            .map(|((_, authority), upstream)| (authority.clone(), upstream.pool().stats()));
        stats.collect()
    }

    /// Closes all connections, when they are not in use any more; nothing is sent
    /// from the first poll on.
    pub async fn close(&self) {
        let upstreams: Vec<_> = {
            let mut upstreams = self.0.upstreams.lock();
            upstreams.closed = true;
            upstreams.all.drain().collect()
        };
        for (_, upstream) in &upstreams {
            upstream.pool().begin_close();
        }
        for (_, upstream) in &upstreams {
            upstream.pool().close().await;
        }
    }

    fn upstream(&self, uri: &Uri) -> Result<Upstream, SendError> {
        let refuse = || SendError::Address(uri.clone());
        let secure = match uri.scheme_str() {
            Some("https") => self.0.config.tls.is_some().then_some(true),
            Some("http") => Some(false),
            _ => None,
        };
        let secure = secure.ok_or_else(refuse)?;
        let authority = uri.authority().ok_or_else(refuse)?;
        let mut upstreams = self.0.upstreams.lock();
        let key = (secure, authority.clone());
        if let Some(upstream) = upstreams.all.get(&key) {
            return Ok(upstream.clone());
        }
        if upstreams.closed {
            return Err(Error::Closed.into());
        }
        let limit = self.0.config.max_upstreams.get();
        let mut unused = None;
        if upstreams.all.len() >= limit {
            let key = upstreams
                .all
                .iter()
                .find(|(_, upstream)| upstream.is_unused())
                .map(|(key, _)| key.clone());
            unused = Some(key.ok_or(SendError::TooManyUpstreams { limit })?);
        }
        let upstream = self.0.connect_to(secure, authority).map_err(|_| refuse())?;
        let removed = unused.and_then(|unused| upstreams.all.remove(&unused));
        upstreams.all.insert(key, upstream.clone());
        drop(upstreams);
        // Its connections are closed without the lock.
        drop(removed);
        Ok(upstream)
    }
}

impl Inner {
    fn connect_to(&self, secure: bool, authority: &Authority) -> Result<Upstream, ConfigError> {
        let config = &self.config;
        let tls = config.tls.as_ref().filter(|_| secure);
        let http2 = matches!(config.version, Version::Http2 { .. });
        let connector = Connector::new(authority, tls, http2)?
            .resolved_by(config.resolver.clone())
            .connecting_once(config.connect_once);
        let pool = Pool::new(&config.pool, connector)?;
        Ok(match config.version {
            Version::Http1 => Upstream::Http1(pool),
            Version::Http2 { max_in_flight } => Upstream::Http2(Streams::new(pool, max_in_flight)),
        })
    }
}

impl Upstream {
    fn pool(&self) -> &Pool<Connector> {
        match self {
            Self::Http1(pool) => pool,
            Self::Http2(streams) => streams.pool(),
        }
    }

    fn is_unused(&self) -> bool {
        match self {
            Self::Http1(pool) => pool.is_only_here(),
            Self::Http2(streams) => streams.is_only_here(),
        }
    }
}

/// A connection that the upstream closed at the same moment has not sent the
/// request, and hands it back: another connection takes it.
async fn send_http1(
    pool: &Pool<Connector>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Body>, SendError> {
    let mut attempt = 1;
    connector::to_origin_form(&mut request);
    loop {
        let mut lease = pool.get_owned().await?;
        // Until the body has been read nobody else can use the connection.
        lease.retire();
        match lease.send_http1(request).await {
            Ok(response) => {
                let reusable = connector::is_reusable(&response);
                return Ok(response.map(|body| Body::exclusive(body, lease, reusable)));
            }
            Err((error, unsent)) => match unsent {
                Some(unsent) if attempt < ATTEMPTS => request = unsent,
                _ => return Err(error.into()),
            },
        }
        attempt += 1;
    }
}

async fn send_http2(
    streams: &Streams<Connector>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Body>, SendError> {
    let mut attempt = 1;
    loop {
        let mut stream: Stream<Connector> = streams.get().await?;
        match stream.send_http2(request).await {
            Ok(response) => return Ok(response.map(|body| Body::shared(body, stream))),
            Err((error, unsent)) => {
                if stream.is_closed() {
                    stream.retire();
                }
                match unsent {
                    Some(unsent) if attempt < ATTEMPTS => request = unsent,
                    _ => return Err(error.into()),
                }
            }
        }
        attempt += 1;
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
