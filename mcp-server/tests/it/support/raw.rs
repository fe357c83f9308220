//! Servers that speak HTTP by hand, and so can also do what no server should.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mcp_server::upstream;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// What a raw server does with a request.
pub(crate) enum Answer {
    Result(Value),
    /// The bytes of a whole response.
    Bytes(Vec<u8>),
    /// Bytes again and again, as long as somebody reads.
    Endless(&'static [u8], &'static [u8]),
    Hang,
    Close,
}

pub(crate) type Script = Arc<dyn Fn(&Value, usize) -> Answer + Send + Sync>;

/// A server that speaks HTTP by hand. `heads` gets the head of each request.
pub(crate) async fn raw(script: Script, heads: Option<mpsc::Sender<String>>) -> SocketAddr {
    serve(script, heads, None).await
}

async fn serve(
    script: Script,
    heads: Option<mpsc::Sender<String>>,
    tls: Option<(TlsAcceptor, Arc<AtomicUsize>)>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let calls = Arc::new(AtomicUsize::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let (script, heads, calls) = (script.clone(), heads.clone(), calls.clone());
            let tls = tls.clone();
            tokio::spawn(async move {
                // A client that leaves ends it.
                let _ = match tls {
                    Some((acceptor, handshakes)) if is_tls(&stream).await => {
                        handshakes.fetch_add(1, Ordering::SeqCst);
                        let Ok(stream) = acceptor.accept(stream).await else {
                            return;
                        };
                        connection(stream, &script, heads, &calls).await
                    }
                    _ => connection(stream, &script, heads, &calls).await,
                };
            });
        }
    });
    address
}

/// Whether a client begins with a handshake of TLS.
async fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0] == 0x16
}

/// A server that speaks with and without TLS on one port, as `localhost`.
pub(crate) struct Secure {
    pub(crate) address: SocketAddr,
    /// Handshakes so far.
    pub(crate) handshakes: Arc<AtomicUsize>,
    /// In PEM, for whoever is to trust it.
    pub(crate) certificate: String,
}

impl Secure {
    pub(crate) async fn serve(script: Script) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = serve(script, None, Some((acceptor, handshakes.clone()))).await;
        Self {
            address,
            handshakes,
            certificate: made.cert.pem(),
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    heads: Option<mpsc::Sender<String>>,
    calls: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split_once('\r')?.0.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        if let Some(heads) = &heads {
            let _ = heads.try_send(head);
        }
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let number = calls.fetch_add(1, Ordering::SeqCst);
        let bytes = match script(&message, number) {
            Answer::Result(mut result) => {
                result["resultType"] = json!("complete");
                let response = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                let body = response.to_string();
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
            }
            Answer::Bytes(bytes) => bytes,
            Answer::Endless(first, again) => {
                stream.write_all(first).await?;
                loop {
                    stream.write_all(again).await?;
                }
            }
            Answer::Hang => std::future::pending().await,
            Answer::Close => return Ok(()),
        };
        stream.write_all(&bytes).await?;
    }
}

/// What a server says that offers `echo`; `other` answers what is not asked of each.
pub(crate) fn orderly(other: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Script {
    Arc::new(move |message, _| match message["method"].as_str() {
        Some("server/discover") => Answer::Result(json!({
            "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "raw", "version": "1"}, "ttlMs": 60_000, "cacheScope": "public",
        })),
        Some("tools/list") => Answer::Result(json!({
            "tools": [{"name": "echo", "inputSchema": {"type": "object"}}],
            "ttlMs": 60_000, "cacheScope": "public",
        })),
        _ => other(message),
    })
}

/// As a connector.
pub(crate) fn connector(address: SocketAddr) -> upstream::ServerConfig {
    let mut connector = upstream::ServerConfig::url(format!("http://{address}/mcp"));
    connector.allow_private_address = true;
    connector
}

/// An orderly server that lets a test see the head of each request.
pub(crate) async fn recorder() -> (SocketAddr, mpsc::Receiver<String>) {
    let (heads, seen) = mpsc::channel(100);
    let script = orderly(|_| Answer::Result(json!({"content": []})));
    (raw(script, Some(heads)).await, seen)
}
