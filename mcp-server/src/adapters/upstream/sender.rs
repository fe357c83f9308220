//! Requests over pooled connections, and where they lead to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::Full;
use mcp_pool::{
    ConfigError,
    agent::{Agent, AgentConfig, Body, SendError},
};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::upstream::UpstreamError;

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// Whom the system trusts; read when the first connection wants it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Trust(Arc<OnceCell<Arc<ClientConfig>>>);

impl Trust {
    /// Loading all certificates takes milliseconds, so no thread of the runtime does it.
    async fn load(&self) -> Result<Arc<ClientConfig>, UpstreamError> {
        let load = || async { tokio::task::spawn_blocking(system_trust).await };
        let loaded = self.0.get_or_try_init(load).await;
        loaded.cloned().map_err(|error| UpstreamError::Unavailable {
            reason: error.to_string(),
            unsent: true,
        })
    }
}

/// Sends requests to one upstream, and again where that says that it is elsewhere. Clones share its
/// connections.
#[derive(Debug, Clone)]
pub(super) struct Sender(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AgentConfig,
    trust: Trust,
    /// Without TLS.
    plain: Agent,
    /// With TLS, once it is needed.
    secure: OnceCell<Agent>,
    closed: AtomicBool,
}

impl Sender {
    /// With connections as in `config`, to those that `trust` trusts.
    pub(super) fn new(config: AgentConfig, trust: Trust) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Inner {
            plain: Agent::new(config.clone())?,
            config,
            trust,
            secure: OnceCell::new(),
            closed: AtomicBool::new(false),
        })))
    }

    /// Sends a request with the headers `own`, and with `credentials` as long as it goes to where it
    /// was meant to go. Each address is checked when it is connected to.
    pub(super) async fn send(
        &self,
        method: Method,
        uri: &str,
        own: HeaderMap,
        credentials: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, UpstreamError> {
        let settings = |reason: &str| UpstreamError::Settings {
            reason: reason.to_owned(),
        };
        let mut uri: Uri = uri.parse().map_err(|_| settings("`url` is no address"))?;
        let origin = uri.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut headers = own.clone();
            if is_same_place(&origin, &uri) {
                let pairs = credentials.iter();
                headers.extend(pairs.map(|(name, value)| (name.clone(), value.clone())));
            }
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers;
            let agent = self.agent(&uri).await?;
            let response = agent.send(request).await.map_err(|error| unsent(&error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let target = location.and_then(|location| resolved(&uri, location));
            let target = target.ok_or_else(|| protocol("it redirects to nowhere".to_owned()))?;
            // Those would make a GET of a POST.
            if !matches!(status, 307 | 308) && method != Method::GET {
                let place = shown(&target);
                return Err(protocol(format!(
                    "it says that it is at {place} now (HTTP {status}): correct its `url`"
                )));
            }
            uri = target;
        }
        Err(protocol("it redirects without end".to_owned()))
    }

    async fn agent(&self, uri: &Uri) -> Result<&Agent, UpstreamError> {
        if uri.scheme_str() != Some("https") {
            return Ok(&self.0.plain);
        }
        let begin = || async {
            if self.0.closed.load(Ordering::Acquire) {
                return Err(UpstreamError::Removed);
            }
            let config = AgentConfig {
                tls: Some(self.0.trust.load().await?),
                ..self.0.config.clone()
            };
            Agent::new(config).map_err(|error| UpstreamError::Settings {
                reason: error.to_string(),
            })
        };
        self.0.secure.get_or_try_init(begin).await
    }

    /// The counters of its connections.
    pub(super) fn stats(&self) -> Vec<mcp_pool::Stats> {
        let agents = std::iter::once(&self.0.plain).chain(self.0.secure.get());
        let stats = agents.flat_map(Agent::stats);
        stats.map(|(_, stats)| stats).collect()
    }

    /// Closes its connections, when they are not in use any more.
    pub(super) async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.plain.close().await;
        if let Some(secure) = self.0.secure.get() {
            secure.close().await;
        }
    }
}

/// Where a redirect leads: to an absolute address of HTTP, but not from TLS to none, or to a path on the
/// same host.
fn resolved(from: &Uri, location: &str) -> Option<Uri> {
    let target: Uri = location.parse().ok()?;
    match (target.scheme_str(), target.authority()) {
        // What was sent under TLS is not sent in the clear.
        (Some("http"), Some(_)) if from.scheme_str() == Some("https") => None,
        (Some("http" | "https"), Some(_)) => Some(target),
        (None, None) if location.starts_with('/') && !location.starts_with("//") => Uri::builder()
            .scheme(from.scheme()?.clone())
            .authority(from.authority()?.clone())
            .path_and_query(target.path_and_query()?.clone())
            .build()
            .ok(),
        _ => None,
    }
}

/// Whether credentials for the one address may be sent to the other: the same host and port, or the
/// same host's usual port with TLS in place of that without.
fn is_same_place(one: &Uri, other: &Uri) -> bool {
    let same_origin = (one.scheme(), one.authority()) == (other.scheme(), other.authority());
    let usual = |uri: &Uri, scheme: &str, port: u16| {
        uri.scheme_str() == Some(scheme) && uri.port_u16().is_none_or(|own| own == port)
    };
    let is_upgrade =
        one.host() == other.host() && usual(one, "http", 80) && usual(other, "https", 443);
    same_origin || is_upgrade
}

/// The scheme, host and port of an address: the rest may hold secrets.
fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

fn unsent(error: &SendError) -> UpstreamError {
    if let SendError::Address(uri) = error {
        return UpstreamError::Settings {
            reason: format!("`{}` is not an address of HTTP", shown(uri)),
        };
    }
    let unsent = !matches!(error, SendError::Http(_));
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !reason.contains(&more) {
            reason = format!("{reason}: {more}");
        }
        source = error.source();
    }
    UpstreamError::Unavailable { reason, unsent }
}

fn protocol(reason: String) -> UpstreamError {
    UpstreamError::Protocol { reason }
}

/// Trusts whom the system trusts. Blocks.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_http_only() {
        let from = Uri::from_static("https://a.example/mcp?x=1");
        for (location, expect) in [
            ("https://b.example/x", Some("https://b.example/x")),
            ("http://b.example/x", None),
            ("/other?y=2", Some("https://a.example/other?y=2")),
            ("file:///etc/passwd", None),
            ("gopher://b.example/", None),
            ("//b.example/x", None),
            ("other", None),
            ("", None),
        ] {
            let target = resolved(&from, location).map(|uri| uri.to_string());
            assert_eq!(target.as_deref(), expect, "{location}");
        }
        let from = Uri::from_static("http://a.example/mcp");
        assert!(resolved(&from, "http://b.example/x").is_some());
        assert!(resolved(&from, "https://b.example/x").is_some());
    }

    #[test]
    fn credentials_stay_where_they_belong() {
        let check = |one: &'static str, other: &'static str, expect: bool| {
            let same = is_same_place(&Uri::from_static(one), &Uri::from_static(other));
            assert_eq!(same, expect, "{one} {other}");
        };
        check("http://a.example/x", "http://a.example/y", true);
        check("http://a.example/x", "https://a.example/x", true);
        check("http://a.example:80/x", "https://a.example:443/x", true);
        check("https://a.example/x", "http://a.example/x", false);
        check("http://a.example/x", "https://b.example/x", false);
        check("http://a.example:8080/x", "https://a.example/x", false);
        check("http://a.example/x", "https://a.example:8443/x", false);
        check("http://a.example/x", "http://a.example:81/x", false);
    }

    #[test]
    fn an_error_shows_nothing_behind_the_host() {
        let uri = Uri::from_static("ftp://me:hush@a.example:21/p/hush?token=hush");
        let error = unsent(&SendError::Address(uri)).to_string();
        assert!(
            error.contains("ftp://a.example:21") && !error.contains("hush"),
            "{error}"
        );
    }
}
