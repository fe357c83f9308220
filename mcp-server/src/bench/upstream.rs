//! Other MCP servers, for the gateway to stand in front of: they answer as slowly as they are told to,
//! and count what reaches them.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::error::BenchError;

/// How an upstream behaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// The name of its one tool.
    pub tool: String,
    /// How long it takes to list its tools.
    pub list_delay: Duration,
    /// How long a call takes.
    pub call_delay: Duration,
    /// Whether it takes connections and never says anything.
    pub hangs: bool,
}

/// An upstream that is at work until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    task: AbortHandle,
}

/// What reached an upstream.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    open: AtomicU64,
    most_open: AtomicU64,
    calls: AtomicU64,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
}

impl Upstream {
    /// Begins to serve on a free port of this machine.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn serve(behaviour: Behaviour) -> Result<Self, BenchError> {
        let failed = "no port for an upstream";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(BenchError::io(failed))?;
        let address = listener.local_addr().map_err(BenchError::io(failed))?;
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, Arc::new(behaviour), seen.clone()));
        Ok(Self {
            address,
            seen,
            task: task.abort_handle(),
        })
    }

    /// Connections that it has taken so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The most connections that were open at a time.
    #[must_use]
    pub fn most_open(&self) -> u64 {
        self.seen.most_open.load(Ordering::Relaxed)
    }

    /// Calls that it has answered so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.seen.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes connections until it is dropped, and they with it.
async fn accept(listener: TcpListener, behaviour: Arc<Behaviour>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let open = seen.open.fetch_add(1, Ordering::Relaxed) + 1;
        seen.most_open.fetch_max(open, Ordering::Relaxed);
        connections.spawn(connection(stream, behaviour.clone(), seen.clone()));
    }
}

async fn connection(stream: TcpStream, behaviour: Arc<Behaviour>, seen: Arc<Seen>) {
    if behaviour.hangs {
        std::future::pending::<()>().await;
    }
    // Without it, answers wait for the other side's acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, &behaviour, &seen));
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to an upstream of the benchmark broke");
    }
    seen.open.fetch_sub(1, Ordering::Relaxed);
}

async fn answer(
    request: Request<Incoming>,
    behaviour: &Behaviour,
    seen: &Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let Some(id) = message.id else {
        return Ok(status(StatusCode::ACCEPTED));
    };
    let result = match message.method {
        "server/discover" => discovered(),
        "tools/list" => {
            tokio::time::sleep(behaviour.list_delay).await;
            json!({
                "resultType": "complete", "ttlMs": 600_000, "cacheScope": "public",
                "tools": [{"name": behaviour.tool, "inputSchema": {"type": "object"}}],
            })
        }
        "tools/call" => {
            if !behaviour.call_delay.is_zero() {
                tokio::time::sleep(behaviour.call_delay).await;
            }
            seen.calls.fetch_add(1, Ordering::Relaxed);
            called()
        }
        _ => return Ok(status(StatusCode::BAD_REQUEST)),
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut response = Response::new(Full::new(body.into()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn discovered() -> Value {
    json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
        "serverInfo": {"name": "bench", "version": "1"}, "ttlMs": 600_000, "cacheScope": "public",
    })
}

fn called() -> Value {
    json!({
        "resultType": "complete", "isError": false, "_meta": {"cached": false},
        "content": [{"type": "text", "text": "{\"answer\":42}"}], "structuredContent": {"answer": 42},
    })
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
