//! Connections to one upstream.

use super::Resolve;
use crate::{error::ConfigError, manager::Manager, managers::Driver};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{CONNECTION, HOST},
    uri::Authority,
};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{fmt, io, sync::Arc};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

type RequestBody = Full<Bytes>;
/// The error, and the request if it was not sent.
type Unsent = (hyper::Error, Option<Request<RequestBody>>);

/// Makes the connections to one upstream.
pub struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    http2: bool,
    resolver: Option<Arc<dyn Resolve>>,
    once: bool,
}

/// Why there is no connection to an upstream.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It cannot be reached, or the TLS handshake failed.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// It does not speak HTTP.
    #[error("no HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// It did not agree to speak HTTP/2.
    #[error("the upstream does not speak HTTP/2")]
    NotHttp2,
}

/// A connection to an upstream.
pub struct Connection {
    sender: Sender,
    driver: Driver,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl Connector {
    pub(super) fn new(
        authority: &Authority,
        tls: Option<&Arc<ClientConfig>>,
        http2: bool,
    ) -> Result<Self, ConfigError> {
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = tls.map(|config| {
            let name = ServerName::try_from(host.clone()).map_err(|_| ConfigError {
                field: "host",
                reason: "must be a name or an address",
            })?;
            let mut config = ClientConfig::clone(config);
            let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
            config.alpn_protocols = vec![protocol.to_vec()];
            Ok((TlsConnector::from(Arc::new(config)), name))
        });
        let tls = tls.transpose()?;
        let default_port = if tls.is_some() { 443 } else { 80 };
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(default_port),
            tls,
            http2,
            resolver: None,
            once: false,
        })
    }

    /// The same, which asks `resolver` for addresses in place of the system.
    pub(super) fn resolved_by(mut self, resolver: Option<Arc<dyn Resolve>>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The same, whose failures are told at once.
    pub(super) fn connecting_once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// A stream to one of the addresses that the host has now: those and no others are tried, so
    /// that what a resolver has checked is what is connected to.
    async fn stream(&self) -> io::Result<TcpStream> {
        let stream = match &self.resolver {
            None => TcpStream::connect((self.host.as_str(), self.port)).await?,
            Some(resolver) => {
                let addresses = resolver.resolve(&self.host, self.port).await?;
                TcpStream::connect(addresses.as_slice()).await?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn handshake<T>(&self, io: T) -> Result<Connection, hyper::Error>
    where
        T: Read + Write + Send + Unpin + 'static,
    {
        if self.http2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
            return Ok(Connection::new(Sender::Http2(sender), driver));
        }
        let (sender, driver) = http1::handshake(io).await?;
        Ok(Connection::new(Sender::Http1(sender), driver))
    }
}

impl Manager for Connector {
    type Connection = Connection;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let stream = self.stream().await?;
        let Some((tls, name)) = &self.tls else {
            return Ok(self.handshake(TokioIo::new(stream)).await?);
        };
        let stream = tls.connect(name.clone(), stream).await?;
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NotHttp2);
        }
        Ok(self.handshake(TokioIo::new(stream)).await?)
    }

    fn is_open(&self, connection: &mut Connection) -> bool {
        !connection.is_closed()
    }

    fn is_permanent(&self, error: &ConnectError) -> bool {
        self.once || matches!(error, ConnectError::NotHttp2)
    }
}

impl Connection {
    fn new(
        sender: Sender,
        driver: impl Future<Output = Result<(), hyper::Error>> + Send + 'static,
    ) -> Self {
        let driver = Driver::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        Self { sender, driver }
    }

    pub(super) fn is_closed(&self) -> bool {
        let closed = match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        };
        closed || !self.driver.is_running()
    }

    pub(super) async fn send_http1(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unsent> {
        let Sender::Http1(sender) = &mut self.sender else {
            unreachable!("the agent speaks one version");
        };
        // The end of the last body may not have reached the driver yet.
        if let Err(error) = sender.ready().await {
            return Err((error, Some(request)));
        }
        sender.try_send_request(request).await.map_err(unsent)
    }

    pub(super) async fn send_http2(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unsent> {
        let Sender::Http2(sender) = &self.sender else {
            unreachable!("the agent speaks one version");
        };
        let mut sender = sender.clone();
        if let Err(error) = sender.ready().await {
            return Err((error, Some(request)));
        }
        sender.try_send_request(request).await.map_err(unsent)
    }
}

fn unsent(mut error: TrySendError<Request<RequestBody>>) -> Unsent {
    let request = error.take_message();
    (error.into_error(), request)
}

/// HTTP/1 names the host in a header and the path in its first line.
pub(super) fn to_origin_form(request: &mut Request<RequestBody>) {
    let authority = request.uri().authority().map(|authority| {
        let host = authority.as_str();
        host.rsplit_once('@')
            .map_or(host, |(_, host)| host)
            .to_owned()
    });
    if let Some(Ok(host)) = authority.map(|host| HeaderValue::from_str(&host)) {
        request.headers_mut().entry(HOST).or_insert(host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

/// Whether the upstream keeps the connection after this response.
pub(super) fn is_reusable(response: &Response<Incoming>) -> bool {
    let closes = response.headers().get_all(CONNECTION).iter().any(|value| {
        let words = value.to_str().unwrap_or_default().split(',');
        words
            .map(str::trim)
            .any(|word| word.eq_ignore_ascii_case("close"))
    });
    !closes && response.version() != http::Version::HTTP_10
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
