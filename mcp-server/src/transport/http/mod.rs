//! Streamable HTTP: `/mcp` for clients of both eras, `/healthz` and `/readyz` for operators.

mod body;
mod connections;
mod guard;
mod health;
mod mcp;
mod sessions;
mod socket;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, middleware, routing};
use rmcp::{ServerHandler, transport::streamable_http_server::StreamableHttpServerConfig};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{connections::Connections, guard::Guard, mcp::McpEndpoint, sessions::Sessions};
use crate::{config::HttpConfig, ports::Readiness, protocol::Front};

/// How a served listener came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every call in flight was answered, and every answer was sent.
    Whole,
    /// The drain timeout passed first; what was left was cut off.
    Cut,
}

/// Serves MCP with `handler` on `listener` until `shutdown`, then drains: no new connections, calls
/// in flight are answered within `config.drain_timeout`, streams that only wait are closed.
///
/// `handler` is cloned for every session and stateless request that `front` does not take;
/// without a front it answers them all. `readiness` is what `/readyz` reports on.
///
/// # Errors
///
/// When the listener has no local address.
pub async fn serve<H>(
    listener: TcpListener,
    handler: H,
    front: Option<Front>,
    readiness: Vec<Arc<dyn Readiness>>,
    config: &HttpConfig,
    shutdown: CancellationToken,
) -> std::io::Result<Drained>
where
    H: ServerHandler + Clone,
{
    let address = listener.local_addr()?;
    // Calls in flight; the server leaves when the last one is answered.
    let calls = TaskTracker::new();
    // Ends sessions and their streams; cancelled only after the calls.
    let streams = CancellationToken::new();
    let router = router(
        &handler, front, readiness, config, address, &calls, &streams,
    );

    let connections = Connections::accept(listener, router, config, &shutdown).await;
    tracing::info!(calls = calls.len(), "draining");
    let deadline = Instant::now() + config.drain_timeout;
    calls.close();
    let answered = async {
        let answered = tokio::time::timeout_at(deadline, calls.wait()).await;
        streams.cancel();
        answered.is_ok()
    };
    let (answered, sent) = tokio::join!(answered, connections.close(&streams, deadline));
    Ok(match answered && sent {
        true => Drained::Whole,
        false => Drained::Cut,
    })
}

fn router<H: ServerHandler + Clone>(
    handler: &H,
    front: Option<Front>,
    readiness: Vec<Arc<dyn Readiness>>,
    config: &HttpConfig,
    address: SocketAddr,
    calls: &TaskTracker,
    streams: &CancellationToken,
) -> Router {
    let rmcp_config = StreamableHttpServerConfig::default()
        // One answer is one JSON body; a stream only where something precedes the answer.
        .with_json_response(true)
        .with_max_request_body_bytes(config.body_bytes_max)
        .with_cancellation_token(streams.clone())
        // The guard in front checks both headers on every path.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let sessions = Sessions::new(handler, &rmcp_config, config);
    let endpoint = Arc::new(McpEndpoint::new(sessions, front, config, calls.clone()));
    let guard = Arc::new(Guard::new(config, address));
    let routes = Router::new()
        .route(
            "/mcp",
            routing::any(move |request| endpoint.clone().handle(request)),
        )
        .merge(health::routes(readiness));
    let routes = match config.allowed_origins.is_empty() {
        true => routes,
        false => routes.layer(guard::cors(config)),
    };
    routes.layer(middleware::from_fn(move |request, next| {
        guard.clone().check(request, next)
    }))
}
