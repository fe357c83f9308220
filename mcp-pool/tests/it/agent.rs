//! The agent against TLS servers: one handshake, retries, HTTP/2, bodies.

use crate::support::{ms, settle};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_pool::{
    Config,
    agent::{Agent, AgentConfig, SendError, Version},
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// What a server saw.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    handshakes: AtomicUsize,
    requests: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

struct Upstream {
    addr: SocketAddr,
    seen: Arc<Seen>,
    trust: Arc<ClientConfig>,
    _serving: JoinSet<()>,
}

impl Upstream {
    /// Speaks the version over TLS, with a certificate made for it.
    async fn start(http2: bool) -> Self {
        let (server, trust) = tls(http2);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let mut serving = JoinSet::new();
        let (inside, acceptor) = (Arc::clone(&seen), TlsAcceptor::from(server));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (seen, acceptor) = (Arc::clone(&inside), acceptor.clone());
                connections.spawn(serve(stream, acceptor, seen, http2));
            }
        });
        Self {
            addr,
            seen,
            trust,
            _serving: serving,
        }
    }

    fn agent(&self, pool: Config, version: Version) -> Agent {
        Agent::new(AgentConfig {
            pool,
            version,
            tls: Some(Arc::clone(&self.trust)),
            ..AgentConfig::default()
        })
        .expect("a valid configuration")
    }

    fn request(&self, path: &str) -> Request<Full<Bytes>> {
        let uri = format!("https://localhost:{}{path}", self.addr.port());
        let body = Full::new(Bytes::from_static(b"{}"));
        Request::post(uri).body(body).expect("a request")
    }

    fn handshakes(&self) -> usize {
        self.seen.handshakes.load(Ordering::SeqCst)
    }
}

async fn serve(stream: tokio::net::TcpStream, acceptor: TlsAcceptor, seen: Arc<Seen>, http2: bool) {
    seen.connections.fetch_add(1, Ordering::SeqCst);
    stream.set_nodelay(true).expect("a socket");
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    seen.handshakes.fetch_add(1, Ordering::SeqCst);
    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
    let io = TokioIo::new(stream);
    // How it ends is the client's affair.
    if http2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(server.serve_connection(io, service).await);
    } else {
        let server = hyper::server::conn::http1::Builder::new();
        drop(server.serve_connection(io, service).await);
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let at_once = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_at_once.fetch_max(at_once, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    drop(request.into_body().collect().await);
    if path == "/slow" {
        tokio::time::sleep(ms(50)).await;
    }
    seen.at_once.fetch_sub(1, Ordering::SeqCst);
    let size = if path == "/large" { 1 << 20 } else { 20 };
    let mut response = Response::new(Full::new(Bytes::from(vec![b'x'; size])));
    if path == "/close" {
        let close = http::HeaderValue::from_static("close");
        response
            .headers_mut()
            .insert(http::header::CONNECTION, close);
    }
    Ok(response)
}

fn tls(http2: bool) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a server");
    let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
    server.alpn_protocols = vec![protocol.to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

async fn call(agent: &Agent, request: Request<Full<Bytes>>) -> usize {
    let response = agent.send(request).await.expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.expect("a body");
    body.to_bytes().len()
}

/// A thousand calls, one handshake; and a call takes at least 30 % less than
/// one with a connection of its own.
#[tokio::test]
async fn a_thousand_calls_make_one_handshake() {
    let upstream = Upstream::start(false).await;
    let agent = upstream.agent(Config::default(), Version::Http1);
    let mut pooled = Vec::new();
    for _ in 0..1_000 {
        pooled.push(timed(call(&agent, upstream.request("/"))).await);
    }
    assert_eq!(
        (upstream.handshakes(), agent.stats()[0].1.checkouts),
        (1, 1_000)
    );
    let mut alone = Vec::new();
    for _ in 0..50 {
        let agent = upstream.agent(Config::default(), Version::Http1);
        alone.push(timed(call(&agent, upstream.request("/"))).await);
    }
    assert_eq!(upstream.handshakes(), 51);
    let (pooled, alone) = (median(pooled), median(alone));
    eprintln!("a call takes {pooled:?} with the pool and {alone:?} without");
    assert!(pooled < alone.mul_f64(0.7), "{pooled:?} and {alone:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "compares two times that both take real work"
)]
async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn an_http2_connection_carries_many() {
    let upstream = Upstream::start(true).await;
    let max_in_flight = NonZero::new(20).expect("not zero");
    let agent = upstream.agent(Config::default(), Version::Http2 { max_in_flight });
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (agent, request) = (agent.clone(), upstream.request("/slow"));
        calls.spawn(async move { call(&agent, request).await });
    }
    calls.join_all().await;
    let most = upstream.seen.most_at_once.load(Ordering::SeqCst);
    assert!(
        most > 20 && upstream.handshakes() <= 5,
        "{most} on {}",
        upstream.handshakes()
    );
    for _ in 0..1_000 {
        call(&agent, upstream.request("/")).await;
    }
    assert!(upstream.handshakes() <= 5);
    let stats = agent.stats()[0].1;
    assert_eq!((stats.in_use, stats.idle), (0, upstream.handshakes()));
}

/// A body that is read to the end frees its connection; one that is dropped
/// closes it; a response that says so closes it too.
#[tokio::test]
async fn a_connection_is_used_again_only_when_its_body_is_done() {
    let upstream = Upstream::start(false).await;
    let agent = upstream.agent(Config::default(), Version::Http1);
    for (path, read, handshakes) in [
        ("/large", true, 1),
        ("/large", true, 1),
        ("/large", false, 1),
        ("/", true, 2),
        ("/close", true, 2),
        ("/", true, 3),
    ] {
        let response = agent
            .send(upstream.request(path))
            .await
            .expect("a response");
        if read {
            response.into_body().collect().await.expect("a body");
        } else {
            drop(response);
        }
        settle().await;
        assert_eq!(upstream.handshakes(), handshakes, "{path} {read}");
    }
    assert_eq!(agent.stats()[0].1.in_use, 0);
}

/// The upstream closes idle connections while the pool lends them: the request
/// that was never sent is sent on another one.
#[tokio::test]
async fn a_connection_closed_by_the_upstream_fails_no_call() {
    let upstream = Upstream::start(false).await;
    let agent = upstream.agent(Config::default(), Version::Http1);
    for _ in 0..100 {
        call(&agent, upstream.request("/close")).await;
        call(&agent, upstream.request("/")).await;
    }
    assert_eq!(upstream.seen.requests.load(Ordering::SeqCst), 200);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let upstream = Upstream::start(false).await;
    let agent = upstream.agent(
        Config {
            acquire_timeout: ms(200),
            ..Config::default()
        },
        Version::Http1,
    );
    let send = |uri: &str| {
        let request = Request::get(uri).body(Full::default()).expect("a request");
        agent.send(request)
    };
    for uri in ["ftp://localhost/", "/path"] {
        assert!(
            matches!(send(uri).await, Err(SendError::Address(_))),
            "{uri}"
        );
    }
    // Trusted for localhost only.
    let other = format!("https://127.0.0.1:{}/", upstream.addr.port());
    let Err(SendError::Pool(error)) = send(&other).await else {
        panic!("not its name")
    };
    assert!(
        error.to_string().contains("the last connect failed"),
        "{error}"
    );
    let plain = Agent::new(AgentConfig::default()).expect("valid");
    let refused = plain.send(upstream.request("/")).await;
    assert!(
        matches!(refused, Err(SendError::Address(_))),
        "no trust, no TLS"
    );
}

#[tokio::test]
async fn upstreams_are_bounded() {
    let upstreams = [Upstream::start(false).await, Upstream::start(false).await];
    let agent = Agent::new(AgentConfig {
        tls: Some(Arc::clone(&upstreams[0].trust)),
        max_upstreams: NonZero::new(1).expect("one"),
        ..AgentConfig::default()
    });
    let agent = agent.expect("valid");
    let held = agent
        .send(upstreams[0].request("/large"))
        .await
        .expect("a response");
    let refused = agent.send(upstreams[1].request("/")).await;
    assert!(matches!(
        refused,
        Err(SendError::TooManyUpstreams { limit: 1 })
    ));
    held.into_body().collect().await.expect("a body");
    settle().await;
    // Now the first one is not in use, and makes room; the second is not
    // trusted, which is another matter.
    let refused = agent.send(upstreams[1].request("/"));
    let refused = tokio::time::timeout(ms(300), refused).await;
    assert!(!matches!(
        refused,
        Ok(Err(SendError::TooManyUpstreams { .. }))
    ));
    agent.close().await;
}

#[tokio::test]
async fn a_closed_agent_sends_nothing() {
    let upstream = Upstream::start(false).await;
    let agent = upstream.agent(Config::default(), Version::Http1);
    call(&agent, upstream.request("/")).await;
    agent.close().await;
    let sent = agent.send(upstream.request("/")).await.map(drop);
    assert!(
        matches!(sent, Err(SendError::Pool(mcp_pool::Error::Closed))),
        "{sent:?}"
    );
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 1);
}

/// Leads every name to one address, or nowhere.
#[derive(Debug)]
struct Leads(Option<std::net::SocketAddr>);

impl mcp_pool::agent::Resolve for Leads {
    fn resolve<'a>(&'a self, _host: &'a str, _port: u16) -> mcp_pool::agent::Resolving<'a> {
        let found = self.0.ok_or_else(|| std::io::Error::other("not there"));
        Box::pin(async move { found.map(|address| vec![address]) })
    }
}

/// What a resolver says is what is connected to, and what it refuses is told at once.
#[tokio::test]
async fn a_resolver_decides_where_a_host_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let answer = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let host = request.headers()["host"].to_str().expect("text").to_owned();
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(host))))
        });
        let server = hyper::server::conn::http1::Builder::new();
        drop(server.serve_connection(TokioIo::new(stream), answer).await);
    });
    for (leads, found) in [(Some(address), true), (None, false)] {
        let agent = Agent::new(AgentConfig {
            resolver: Some(Arc::new(Leads(leads))),
            connect_once: true,
            ..AgentConfig::default()
        })
        .expect("a valid configuration");
        let request = Request::get("http://nowhere.invalid:81/").body(Full::default());
        let sent = agent.send(request.expect("a request")).await;
        assert_eq!(sent.is_ok(), found, "{sent:?}");
        if let Ok(response) = sent {
            let body = response.into_body().collect().await.expect("a body");
            assert_eq!(body.to_bytes(), "nowhere.invalid:81");
        }
        agent.close().await;
    }
    server.await.expect("no panic");
}
