//! Upstreams of streamable HTTP.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use mcp_pool::agent::{Agent, AgentConfig};
use rmcp::transport::{
    common::client_side_sse::ExponentialBackoff,
    streamable_http_client::{StreamableHttpClientTransport, StreamableHttpClientTransportConfig},
};
use tokio_rustls::rustls::ClientConfig;

use super::{agent::HttpClient, resolver::Guarded};
use crate::{
    monitoring::{Parts, PoolStatus},
    upstream::{
        Connection, Dial, Listener, MissingVariable, Secret, ServerConfig, Template, UpstreamError,
        connect,
    },
};

/// How long connections may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a stream that broke is opened again before it is given up.
const STREAM_RETRIES_MAX: usize = 5;

/// Speaks with one upstream over connections of its own pool, which lead to public addresses only.
pub struct HttpDial {
    agent: Agent,
    url: Template,
    headers: BTreeMap<String, Secret>,
    in_flight_max: usize,
    answer_bytes_max: usize,
}

impl std::fmt::Debug for HttpDial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpDial")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The bounds of what is exchanged with an upstream.
#[derive(Debug, Clone)]
pub struct HttpBounds {
    /// Connections at a time.
    pub connections_max: NonZeroU32,
    /// Requests at a time.
    pub in_flight_max: usize,
    /// Bytes of one answer.
    pub answer_bytes_max: usize,
    /// How long a connection may take.
    pub connect_timeout: Duration,
}

impl HttpDial {
    /// For the upstream at `url`, with the settings of `server`. `tls` says who is trusted.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Settings`].
    pub fn new(
        url: &Template,
        server: &ServerConfig,
        bounds: &HttpBounds,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, UpstreamError> {
        let excepted = match server.allow_private_address {
            true => Some(place(&expand(url)?)?),
            false => None,
        };
        let connections = usize::try_from(bounds.connections_max.get()).unwrap_or(usize::MAX);
        let pool = mcp_pool::Config {
            max_connections: connections.min(mcp_pool::CONNECTIONS_MAX),
            max_connecting: connections.min(8),
            connect_timeout: bounds.connect_timeout,
            acquire_timeout: bounds.connect_timeout,
            ..mcp_pool::Config::default()
        };
        let agent = Agent::new(AgentConfig {
            pool,
            tls,
            // The gateway has pauses of its own.
            connect_once: true,
            resolver: Some(Arc::new(Guarded::new(excepted))),
            // The upstream, and where it may redirect to.
            max_upstreams: const { std::num::NonZero::new(4).expect("not zero") },
            ..AgentConfig::default()
        });
        Ok(Self {
            agent: agent.map_err(|error| settings(error.to_string()))?,
            url: url.clone(),
            headers: server.headers.clone(),
            in_flight_max: bounds.in_flight_max,
            answer_bytes_max: bounds.answer_bytes_max,
        })
    }

    /// The counters of its connections.
    #[must_use]
    pub fn stats(&self) -> Vec<mcp_pool::Stats> {
        self.agent
            .stats()
            .into_iter()
            .map(|(_, stats)| stats)
            .collect()
    }

    fn headers(&self) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let text = value.expand(variable).map_err(missing)?;
            let mut value = HeaderValue::from_str(text.trim())
                .map_err(|_| settings(format!("the header `{name}` is no visible text")))?;
            value.set_sensitive(true);
            let name: HeaderName = name
                .parse()
                .map_err(|_| settings(format!("`{name}` is no name of a header")))?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

#[async_trait]
impl Dial for HttpDial {
    async fn dial(&self, listener: Listener) -> Result<Connection, UpstreamError> {
        let url = expand(&self.url)?;
        let client = HttpClient::new(self.agent.clone(), self.headers()?, self.answer_bytes_max);
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.max_concurrent_requests = self.in_flight_max;
        config.max_sse_event_size = self.answer_bytes_max;
        let mut retries = ExponentialBackoff::default();
        retries.max_times = Some(STREAM_RETRIES_MAX);
        config.retry_config = Arc::new(retries);
        connect(&listener, || {
            let (client, config) = (client.clone(), config.clone());
            Ok(StreamableHttpClientTransport::with_client(client, config))
        })
        .await
    }

    async fn close(&self) {
        // A body that nobody reads to its end may hold one for ever.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.agent.close()).await;
    }

    fn observe(&self, name: &str, parts: &mut Parts) {
        // More than one where it redirects.
        let pools = self.stats();
        let pools = pools.iter().enumerate().map(|(at, stats)| match at {
            0 => PoolStatus::of(format!("connector:{name}"), stats),
            _ => PoolStatus::of(format!("connector:{name}:{at}"), stats),
        });
        parts.pools.extend(pools);
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn expand(url: &Template) -> Result<String, UpstreamError> {
    url.expand(variable).map_err(missing)
}

/// The host and port of an address.
pub(in crate::adapters) fn place(url: &str) -> Result<(String, u16), UpstreamError> {
    let uri: Uri = url
        .parse()
        .map_err(|_| settings("`url` is no address".to_owned()))?;
    let host = uri
        .host()
        .ok_or_else(|| settings("`url` has no host".to_owned()))?;
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let port = uri.port_u16().unwrap_or(default_port);
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

// By value, for `map_err`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the last use of the error"
)]
fn missing(error: MissingVariable) -> UpstreamError {
    settings(error.to_string())
}

fn settings(reason: String) -> UpstreamError {
    UpstreamError::Settings { reason }
}
