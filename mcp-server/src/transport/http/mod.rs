//! Streamable HTTP: `/mcp` for clients of both eras, `/healthz` and `/readyz` for operators.

mod body;
mod connections;
mod guard;
mod health;
mod mcp;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, middleware, routing};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::local::{LocalSessionManager, SessionConfig},
    },
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{connections::Connections, guard::Guard, mcp::McpEndpoint};
use crate::{config::HttpConfig, ports::Readiness};

/// How a served listener came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every call in flight was answered.
    Whole,
    /// The drain timeout passed first; what was left was cut off.
    Cut,
}

/// Serves MCP with `handler` on `listener` until `shutdown`, then drains: no new connections, calls
/// in flight are answered within `config.drain_timeout`, streams that only wait are closed.
///
/// `handler` is cloned for every session and stateless request. `readiness` is what `/readyz`
/// reports on.
///
/// # Errors
///
/// When the listener has no local address.
pub async fn serve<H>(
    listener: TcpListener,
    handler: H,
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
    let router = router(handler, readiness, config, address, &calls, &streams);

    let connections = Connections::accept(listener, router, config, &shutdown).await;
    tracing::info!(calls = calls.len(), "draining");
    calls.close();
    let drain = async {
        let whole = tokio::time::timeout(config.drain_timeout, calls.wait()).await;
        streams.cancel();
        whole
    };
    let (whole, ()) = tokio::join!(drain, connections.close(&streams));
    Ok(match whole {
        Ok(()) => Drained::Whole,
        Err(_) => Drained::Cut,
    })
}

fn router<H: ServerHandler + Clone>(
    handler: H,
    readiness: Vec<Arc<dyn Readiness>>,
    config: &HttpConfig,
    address: SocketAddr,
    calls: &TaskTracker,
    streams: &CancellationToken,
) -> Router {
    let sessions = Arc::new(session_manager(config));
    let rmcp_config = StreamableHttpServerConfig::default()
        // One answer is one JSON body; a stream only where something precedes the answer.
        .with_json_response(true)
        .with_max_request_body_bytes(config.body_bytes_max)
        .with_cancellation_token(streams.clone())
        // The guard in front checks both headers on every path.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), rmcp_config);
    let endpoint = McpEndpoint::new(service, sessions, config, calls.clone());
    let guard = Arc::new(Guard::new(config, address));
    Router::new()
        .route(
            "/mcp",
            routing::any(move |request| endpoint.handle(request)),
        )
        .merge(health::routes(readiness))
        .layer(middleware::from_fn(move |request, next| {
            guard.clone().check(request, next)
        }))
}

fn session_manager(config: &HttpConfig) -> LocalSessionManager {
    let mut session_config = SessionConfig::default();
    session_config.keep_alive = Some(config.session_idle_timeout);
    let mut manager = LocalSessionManager::default();
    manager.session_config = session_config;
    manager
}
