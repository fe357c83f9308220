//! All that stands before one upstream, put together.

use std::sync::Arc;

use mcp_cache::ConfigError;
use tokio::sync::Notify;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{CachedUpstream, GuardedUpstream, HttpDial, UpstreamCaches, dial::HttpBounds};
use crate::{
    ports::Upstream,
    upstream::{
        Attempts, Bounds, ConnectorName, ConnectorsConfig, Dial, ProcessDial, ServerConfig,
        Session, Stack, UpstreamError, Way,
    },
};

/// Why upstreams could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// The caches do not work like this.
    #[error("{0}")]
    Cache(#[from] ConfigError),
}

/// Session, then breaker and retries, then what is kept: the last two unless they are left out.
pub struct UpstreamStack {
    config: ConnectorsConfig,
    caches: Option<UpstreamCaches>,
    guarded: bool,
    /// Who is trusted; read when the first upstream wants it.
    tls: std::sync::OnceLock<Arc<ClientConfig>>,
}

impl std::fmt::Debug for UpstreamStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamStack")
            .field("guarded", &self.guarded)
            .finish_non_exhaustive()
    }
}

impl UpstreamStack {
    /// With the settings of `config`. `plain` leaves out what makes it faster, and what guards it.
    ///
    /// # Errors
    ///
    /// [`StackError`].
    pub fn new(config: &ConnectorsConfig, plain: bool) -> Result<Self, StackError> {
        Ok(Self {
            caches: (!plain).then(|| UpstreamCaches::new(config)).transpose()?,
            config: config.clone(),
            guarded: !plain,
            tls: std::sync::OnceLock::new(),
        })
    }

    /// What is kept of all upstreams, unless it is left out.
    #[must_use]
    pub fn caches(&self) -> Option<&UpstreamCaches> {
        self.caches.as_ref()
    }

    fn dial(&self, server: &ServerConfig) -> Result<Box<dyn Dial>, UpstreamError> {
        let config = &self.config;
        let answer_bytes_max = config.answer_bytes_max.get();
        match server.way() {
            Some(Way::Command(argv)) => {
                let cwd = server.cwd.clone();
                let dial = ProcessDial::new(argv, &server.env, cwd, answer_bytes_max);
                Ok(Box::new(dial))
            }
            Some(Way::Url(url)) => {
                let bounds = HttpBounds {
                    connections_max: config.connections_max,
                    in_flight_max: config.in_flight_max.get(),
                    answer_bytes_max,
                    connect_timeout: config.connect_timeout,
                };
                // Loading all certificates takes milliseconds: not for a program of this machine.
                let is_plain = url.as_written().starts_with("http://");
                let tls = (!is_plain).then(|| self.tls.get_or_init(system_trust).clone());
                Ok(Box::new(HttpDial::new(url, server, &bounds, tls)?))
            }
            None => Err(UpstreamError::Settings {
                reason: "either `command` or `url` is needed".to_owned(),
            }),
        }
    }
}

impl Stack for UpstreamStack {
    fn build(
        &self,
        name: &ConnectorName,
        server: &ServerConfig,
        changed: &Arc<Notify>,
    ) -> Result<Arc<dyn Upstream>, UpstreamError> {
        let config = &self.config;
        let bounds = Bounds {
            connect_timeout: config.connect_timeout,
            call_timeout: server.call_timeout.unwrap_or(config.call_timeout),
            in_flight_max: config.in_flight_max.get(),
            tools_max: config.tools_max.get(),
            ttl: config.refresh.ttl,
        };
        let attempts = Attempts::new(&config.refresh);
        let session = Session::new(self.dial(server)?, bounds, attempts, changed.clone());
        let mut upstream: Arc<dyn Upstream> = Arc::new(session);
        if self.guarded {
            let guarded = GuardedUpstream::new(upstream, &config.circuit_breaker, &config.retry);
            upstream = Arc::new(guarded.map_err(|error| UpstreamError::Settings {
                reason: error.to_string(),
            })?);
        }
        if let Some(caches) = &self.caches {
            upstream = Arc::new(CachedUpstream::new(upstream, name, server, caches));
        }
        Ok(upstream)
    }
}

/// Trusts whom the system trusts.
pub(in crate::adapters) fn system_trust() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("the system trusts nobody: upstreams of https:// cannot be reached");
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
